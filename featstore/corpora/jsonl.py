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

The spans may be given a ``text``, which must then be their characters. Any other member is refused: a misspelt one
would be lost in silence. Types: ``GENE``, ``CHEMICAL`` and ``DISEASE`` (in any case; ``GENE-Y``, ``GENE-N`` and
``PROTEIN`` too) give the tags ``<gene>``, ``<chem>`` and ``<dise>``; any other type T gives ``<t>``.

The negative label is the one of ``NONE``, ``false``, ``0``, ``negative`` and ``no_relation`` that occurs (NONE if none
does); all others, in sorted order, are positive.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from featstore.corpora.lines import Row, files_digest, read_lines
from featstore.corpora.mark import Marking, mark
from featstore.corpora.pairs import mention
from featstore.corpora.text import tokenise
from featstore.errors import DataError, UsageError
from featstore.formats.content import Flaw, check_name
from featstore.formats.source import lines
from featstore.records import Corpus, Entity, Instance, sentence_key

NEGATIVES = ("NONE", "false", "0", "negative", "no_relation")
_REQUIRED = ("text", "head", "tail")
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
        given = json.loads(first.raw) if first else None
    except (ValueError, RecursionError):
        return False  # whatever it is, its reader will say
    return isinstance(given, dict) and given.keys() >= set(_REQUIRED)


def _rows(path: Path) -> list[Row]:
    """Return each line as a row of one field; blank lines are passed over."""
    return [Row(path, number, (line,)) for number, line in enumerate(read_lines(path), start=1) if line.strip()]


def _instance(row: Row, marking: Marking) -> Instance:
    given = _members(row)
    text = given["text"]
    head, tail = (_entity(row, name, given[name], text) for name in ("head", "tail"))
    if marking.indicators == "blind" and "others" not in given:
        raise row.error("no 'others', the other mentions, which --indicators blind replaces; [] if there are none.")
    others = [_entity(row, f"others[{n}]", other, text) for n, other in enumerate(given.get("others", []))]
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


def _members(row: Row) -> dict[str, Any]:
    """Return the members of a line's object, each of its type."""
    try:
        given = json.loads(row.fields[0])
    except (ValueError, RecursionError) as error:
        raise row.error(f"not JSON: {error}.") from error
    if not isinstance(given, dict):
        raise row.error(f"a JSON object is wanted, with {', '.join(_REQUIRED)}.")
    _check_members(row, "the object", given, {"text": str, "head": dict, "tail": dict}, _OPTIONAL)
    for name in ("id", "label"):
        try:
            check_name(name, given.get(name, "-"))
        except Flaw as flaw:
            raise row.error(flaw.why) from flaw
    if given.get("split", "test") not in ("train", "dev", "test"):
        raise row.error(f"the split is '{given['split']}'; train, dev or test is wanted.")
    if given.get("fold", 1) < 1:
        raise row.error(f"the fold is {given['fold']}; folds count from 1.")
    if "fold" in given and "split" in given:
        raise row.error("split and fold are both given; a corpus has one or the other.")
    return given


def _check_members(
    row: Row, what: str, given: Mapping[str, Any], required: Mapping[str, type], optional: Mapping[str, type]
) -> None:
    """Check names and types of members, and that text is text (JSON can escape halves of characters)."""
    for name in required:
        if name not in given:
            raise row.error(f"{what} has no '{name}'; {', '.join(required)} are needed.")
    allowed = {**required, **optional}
    for name, value in given.items():
        if name not in allowed:
            raise row.error(f"{what} has a member '{name}'; allowed are {', '.join(allowed)}.")
        if type(value) is not allowed[name]:
            raise row.error(f"'{name}' is {json.dumps(value)[:60]}; {allowed[name].__name__} is wanted.")
        if isinstance(value, str) and re.search("[\ud800-\udfff]", value):
            raise row.error(f"'{name}' holds half of a surrogate pair, which is no character.")


def _entity(row: Row, name: str, span: Any, text: str) -> Entity:
    """Return a mention, held against the text."""
    if not isinstance(span, dict):
        raise row.error(f"'{name}' is {json.dumps(span)[:60]}; an object with start, end and type is wanted.")
    _check_members(row, f"'{name}'", span, {"start": int, "end": int, "type": str}, {"text": str})
    start, end = span["start"], span["end"]
    if not 0 <= start < end <= len(text):
        raise row.error(f"'{name}' is at {start}-{end}, outside the text of {len(text)} characters, or empty.")
    if span.get("text", text[start:end]) != text[start:end]:
        raise row.error(f"'{name}' is '{span['text']}', but the text has '{text[start:end]}' at {start}-{end}.")
    if not _TYPE.fullmatch(span["type"]):
        raise row.error(f"the type of '{name}' is '{span['type']}'; letters, digits, _ and - are wanted.")
    return Entity(name, span["type"], start, end, text[start:end])


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
