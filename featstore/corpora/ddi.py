"""DDIExtraction 2013 (SemEval task 9.2): four types of interactions between drugs.

In: the folder or zip archive of the release, of which the XML files below ``Train`` and those of the interaction task
below ``Test`` are read. Out: an instance for each pair that the files list, in the official split; micro F1 over the
four types. A tenth of the training part, drawn by sentence, serves as the dev part, since the corpus has none.

The corpus is CC BY-NC 4.0. A model that is trained on it may not be used commercially.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from featstore.corpora.annotated import NEGATIVE
from featstore.corpora.mark import Marking
from featstore.corpora.pairs import PairTypes
from featstore.corpora.release import digest_of, open_release, refuse_list
from featstore.corpora.unified import ListedSentence, Pair, instance_of, sentences_of
from featstore.documents import Problem
from featstore.errors import DataError, MissingFileError
from featstore.records import Corpus, Instance

POSITIVE = ("effect", "mechanism", "advise", "int")
TYPES = PairTypes(frozenset({"drug"}), frozenset({"drug"}))
_PARTS = {"train": "/train/", "test": "/test/"}  # a folder in the path of its files
_OTHER_TASK = "drugner"  # the test files of the task that finds drugs


def read(path: str | None, marking: Marking, instances: Path | None) -> Corpus:
    """Read the corpus; what is wrong with single entities or pairs is in the corpus's problems.

    Raises:
        UsageError: ``instances`` is given.
        MissingFileError: no files of a part.
        DataError: a file that is not of its form.
    """
    refuse_list("ddi", instances)
    release = open_release("ddi", path)
    files = {split: _files(release.names, part) for split, part in _PARTS.items()}
    for split, names in files.items():
        if not names:
            raise MissingFileError(f"{release.path} holds no XML files of the {split} part (below Train, Test).")
    problems: list[Problem] = []
    notes: Counter[str] = Counter()
    found: list[Instance] = []
    contents: list[bytes] = []
    for split, names in files.items():
        counted: Counter[str] = Counter()
        for name, raw in release.files(names):
            contents.append(raw)
            for sentence in sentences_of(raw, release.place(name), "drug", problems, counted):
                found += _instances(sentence, split, release.place(name), marking, problems, counted)
        notes.update(counted)
        notes.update({f"{what} {split}": counted[what] for what in ("documents", "pairs", "interactions")})
    return Corpus(
        spec="ddi",
        name="ddi",
        instances=tuple(found),
        labels=(NEGATIVE, *POSITIVE),
        positive=POSITIVE,
        indicators=marking.indicators,
        context=marking.context,
        digest=digest_of(contents),
        notes=dict(notes),
        problems=tuple(problems),
    )


def _files(names: Sequence[str], part: str) -> list[str]:
    """Return the XML files of a part, without those of the task that finds drugs."""
    lower = {name: f"/{name.lower()}" for name in names}
    return [n for n, each in lower.items() if part in each and each.endswith(".xml") and _OTHER_TASK not in each]


def _instances(
    sentence: ListedSentence,
    split: str,
    place: Path,
    marking: Marking,
    problems: list[Problem],
    notes: Counter[str],
) -> Iterator[Instance]:
    """Yield the instances of a sentence; a malformed pair is reported as a problem."""
    for pair in sentence.pairs:
        notes["interactions"] += pair.attributes.get("ddi") == "true"
        try:
            found = instance_of(sentence, pair, TYPES, marking, f"ddi:{pair.id}", _label(pair))
        except DataError as error:
            problems.append(Problem(f"{place}: sentence {sentence.id}: {error}"))
        else:
            yield replace(found, split=split)


def _label(pair: Pair) -> str:
    """Return the label of a pair.

    Raises:
        DataError: neither true nor false, or an interaction without a known type.
    """
    given, type_ = pair.attributes.get("ddi", ""), pair.attributes.get("type", "")
    if given not in ("true", "false"):
        raise DataError(f"the pair {pair.id} has ddi='{given}'; true or false is wanted.")
    if given == "true" and type_ not in POSITIVE:
        raise DataError(f"the pair {pair.id} has the type '{type_}'; {', '.join(POSITIVE)} are allowed.")
    return type_ if given == "true" else NEGATIVE
