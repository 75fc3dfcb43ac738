"""Five corpora of protein interactions: AIMed, BioInfer, HPRD50, IEPA and LLL, in the unified XML form.

In: a file in the form of Pyysalo et al. 2008 (``AImed.xml``, ``AImed-learning-format.xml.gz``), or a folder or zip
archive that holds it. Out: an
instance for each pair that the file lists; F1 of the interactions.

*Folds.* Ten, drawn by document, so that no document is in two of them (Airola et al. 2008 showed how much a draw by
sentence flatters). The documents come in the order of a hash of their ids, and each goes to the fold with the fewest
pairs so far: the folds are of one size, and the same on every machine. They are not the folds of a published
comparison, of which no list is part of the corpora.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

from featstore.corpora.annotated import NEGATIVE
from featstore.corpora.mark import Marking
from featstore.corpora.pairs import PairTypes
from featstore.corpora.release import open_release, refuse_list
from featstore.corpora.unified import Pair, instance_of, sentences_of
from featstore.documents import Problem
from featstore.errors import DataError
from featstore.records import Corpus, Instance

POSITIVE = ("interaction",)
TYPES = PairTypes(frozenset({"protein"}), frozenset({"protein"}))
FOLDS = 10


def read_aimed(path: str | None, marking: Marking, instances: Path | None) -> Corpus:
    """Read AIMed; see :func:`read`."""
    return read("aimed", path, marking, instances)


def read_bioinfer(path: str | None, marking: Marking, instances: Path | None) -> Corpus:
    """Read BioInfer; see :func:`read`."""
    return read("bioinfer", path, marking, instances)


def read_hprd50(path: str | None, marking: Marking, instances: Path | None) -> Corpus:
    """Read HPRD50; see :func:`read`."""
    return read("hprd50", path, marking, instances)


def read_iepa(path: str | None, marking: Marking, instances: Path | None) -> Corpus:
    """Read IEPA; see :func:`read`."""
    return read("iepa", path, marking, instances)


def read_lll(path: str | None, marking: Marking, instances: Path | None) -> Corpus:
    """Read LLL; see :func:`read`."""
    return read("lll", path, marking, instances)


def read(name: str, path: str | None, marking: Marking, instances: Path | None) -> Corpus:
    """Read one of the five; what is wrong with single entities or pairs is in the corpus's problems.

    Raises:
        UsageError: ``instances`` is given.
        MissingFileError: no file of the corpus.
        DataError: a file that is not of its form.
    """
    refuse_list(name, instances)
    release = open_release(name, path)
    file = "" if release.names == ("",) else release.one(f"{name}.xml", f"{name}-*.xml.gz", f"{name}-*.xml")
    raw, place = release.read(file), release.place(file)
    problems: list[Problem] = []
    notes: Counter[str] = Counter()
    found: list[Instance] = []
    for sentence in sentences_of(raw, place, "protein", problems, notes):
        for pair in sentence.pairs:
            try:
                label = _label(pair)
                found.append(instance_of(sentence, pair, TYPES, marking, f"{name}:{pair.id}", label))
            except DataError as error:
                problems.append(Problem(f"{place}: sentence {sentence.id}: {error}"))
            else:
                notes["interactions"] += label != NEGATIVE
    return Corpus(
        spec=name,
        name=name,
        instances=with_folds(found, FOLDS),
        labels=(NEGATIVE, *POSITIVE),
        positive=POSITIVE,
        indicators=marking.indicators,
        context=marking.context,
        digest=release.digest([file]),
        notes=dict(notes),
        problems=tuple(problems),
    )


def with_folds(instances: Sequence[Instance], count: int) -> tuple[Instance, ...]:
    """Return the instances with folds drawn by document, of nearly one size."""
    sizes = Counter(instance.source["document"] for instance in instances)
    held = dict.fromkeys(range(1, count + 1), 0)
    folds: dict[str, int] = {}
    for document in sorted(sizes, key=lambda id_: blake2b(id_.encode("utf-8")).digest()):
        folds[document] = min(held, key=lambda fold: (held[fold], fold))
        held[folds[document]] += sizes[document]
    return tuple(replace(instance, fold=folds[instance.source["document"]]) for instance in instances)


def _label(pair: Pair) -> str:
    """Return the label of a pair.

    Raises:
        DataError: neither true nor false.
    """
    given = pair.attributes.get("interaction", "")
    if given.lower() not in ("true", "false"):
        raise DataError(f"the pair {pair.id} has interaction='{given}'; True or False is wanted.")
    return POSITIVE[0] if given.lower() == "true" else NEGATIVE
