"""JSONL: sentences with marked pairs, one JSON object a line.

In: a UTF-8 file. Out: one instance a line. The schema:

=========  ========  =======================================================================================
text       required  the sentence (or the stretch of text) that the encoders see, as it is
head       required  ``{"start": 0, "end": 8, "type": "CHEMICAL"}``: characters of the first entity, half-open
tail       required  the same for the second
label      optional  the gold label; on all lines or, for text to be classified, on none
split      optional  ``train``, ``dev`` or ``test``; on all lines or on none
fold       optional  the fold (1, 2, ..) whose test part holds the line; on all lines or on none; not with split
id         optional  unique in the file; the line's number by default
others     optional  the other mentions of the text, a list of objects like ``head``; ``--indicators blind`` needs it
                     on each line
=========  ========  =======================================================================================

The spans may be given a ``text``, which must then be their characters. An optional member may be null. Any
other member is refused, because a misspelt one would be lost silently. Types: ``GENE``, ``CHEMICAL`` and ``DISEASE``
(in any case; ``GENE-Y``, ``GENE-N`` and ``PROTEIN`` too) give the tags ``<gene>``, ``<chem>`` and ``<dise>``; any other
type T gives ``<t>``.

The negative label is the one of ``NONE``, ``false``, ``0``, ``negative`` and ``no_relation`` that occurs (NONE if none
does); all others, in sorted order, are positive.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

from featstore.corpora.lines import Row, files_digest, read_lines
from featstore.corpora.mark import Marking, mark
from featstore.corpora.pairs import mention
from featstore.corpora.text import tokenise
from featstore.documents import Entity
from featstore.errors import DataError, UsageError
from featstore.formats.content import Flaw, check_name, check_text, make_entity
from featstore.formats.members import MENTION, PAIR, load_json, members_of
from featstore.formats.source import lines
from featstore.records import Corpus, Instance, sentence_key

NEGATIVES = ("NONE", "false", "0", "negative", "no_relation")
_OPTIONAL = {"label": str, "split": str, "fold": int, "id": str, "others": list}
_TYPE = re.compile(r"[A-Za-z][\w-]*")


def read(path: str | None, marking: Marking, instances: Path | None) -> Corpus:
    """Read a JSONL file.

    Raises:
        UsageError: no path, or ``instances`` is given.
        MissingFileError: there is no such file.
        DataError: a line that is not as the schema says.
    """
    if path is None:
        raise UsageError("'jsonl' needs the path of a file: jsonl:FILE")
    if instances is not None:
        raise UsageError(f"jsonl has no list of instances: each line is one. Leave {instances} out.")
    file = Path(path)
    found = [_instance(row, marking) for row in _rows(file)]
    _check_whole(file, found)
    labels = _labels(file, found)
    return Corpus(
        spec=f"jsonl:{path}",
        name="jsonl",
        instances=tuple(found),
        labels=labels,
        positive=labels[1:],
        indicators=marking.indicators,
        context=marking.context,
        digest=files_digest([file]),
    )


def holds_pairs(path: Path) -> bool:
    """Tell whether a file of JSON lines holds pairs rather than documents, by the first object in it.

    Args:
        path: any file or folder; what is not named as such a file (``.jsonl``, ``.ndjson``, also gzipped) does not.

    Raises:
        DataError: it cannot be read.
    """
    if not path.name.removesuffix(".gz").endswith((".jsonl", ".ndjson")) or not path.is_file():
        return False
    first = next((line for line in lines(path) if line.raw.strip()), None)
    try:
        given = load_json(first.text) if first else None
    except Flaw:
        return False  # whatever it is, its reader will say
    return isinstance(given, dict) and given.keys() >= PAIR.keys()


def _rows(path: Path) -> list[Row]:
    """Return each line as a row of one field; blank lines are passed over."""
    return [Row(path, number, (line,)) for number, line in enumerate(read_lines(path), start=1) if line.strip()]


def _instance(row: Row, marking: Marking) -> Instance:
    try:
        given = _members(load_json(row.fields[0]))
        text = given["text"]
        head, tail = (_entity(name, given[name], text) for name in ("head", "tail"))
        if marking.indicators == "blind" and "others" not in given:
            raise Flaw(
                "no 'others'. --indicators blind replaces the other mentions; list them, or give [] if there are none."
            )
        others = [_entity(f"others[{n}]", other, text) for n, other in enumerate(given.get("others", []))]
    except Flaw as flaw:
        raise row.error(flaw.why) from flaw
    plain = tokenise(text, (0, len(text)), [(e.start, e.end) for e in (head, tail, *others)])
    first, second = mention(head, {}), mention(tail, {})
    try:
        marked = mark(plain, first, second, marking, [mention(other, {}) for other in others])
    except DataError as error:
        raise row.error(str(error)) from error
    return Instance(
        id=given.get("id", str(row.line)),
        tokens=marked.tokens,
        layout=marked.layout,
        tags=marked.tags,
        head=marked.head,
        tail=marked.tail,
        head_type=first.type,
        tail_type=second.type,
        label=given.get("label"),
        split=given.get("split"),
        fold=given.get("fold"),
        group=sentence_key(plain.tokens).hex(),
        offsets=marked.offsets,
        source={"line": str(row.line)},
    )


def _members(given: Any) -> dict[str, Any]:
    """Return the members of a line's object, each of its type.

    Raises:
        Flaw: a line that is not as the schema says.
    """
    members = members_of("the pair", given, PAIR, _OPTIONAL)
    check_text(members["text"])
    for name in ("id", "label"):
        check_name(name, members.get(name, "-"))
    if members.get("split", "test") not in ("train", "dev", "test"):
        raise Flaw(f"the split is '{members['split']}'; train, dev or test is wanted.")
    if members.get("fold", 1) < 1:
        raise Flaw(f"the fold is {members['fold']}; folds count from 1.")
    if "fold" in members and "split" in members:
        raise Flaw("split and fold are both given; a corpus has one or the other.")
    return members


def _entity(name: str, given: Any, text: str) -> Entity:
    """Return a mention, checked against the text.

    Raises:
        Flaw: it is not as the schema says, or lies elsewhere.
    """
    span = members_of(f"'{name}'", given, MENTION, {"text": str})
    if not _TYPE.fullmatch(span["type"]):
        raise Flaw(f"the type of '{name}' is '{span['type']}'; letters, digits, _ and - are wanted.")
    return make_entity(text, name, span["type"], span["start"], span["end"], mention=span.get("text"))


def _check_whole(path: Path, instances: list[Instance]) -> None:
    """Check what all lines must agree on."""
    repeated = [id_ for id_, count in Counter(i.id for i in instances).items() if count > 1]
    if repeated:
        raise DataError(f"{path}: the id '{repeated[0]}' is given more than once; ids must be unique.")
    for name in ("label", "split", "fold"):
        have = [getattr(instance, name) is not None for instance in instances]
        if any(have) and not all(have):
            line = instances[have.index(not have[0])].source["line"]
            raise DataError(f"{path}, line {line}: '{name}' is on some lines and not on others.")


def _labels(path: Path, instances: list[Instance]) -> tuple[str, ...]:
    """Return all labels, the negative one first."""
    found = {instance.label for instance in instances if instance.label is not None}
    negatives = [name for name in NEGATIVES if name in found] or [NEGATIVES[0]]
    if len(negatives) > 1:
        raise DataError(f"{path} has the negative labels {' and '.join(negatives)}; one is wanted.")
    return (negatives[0], *sorted(found.difference(negatives)))
