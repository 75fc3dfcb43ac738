"""brat standoff: a folder of pairs ``NAME.txt`` (the text) and ``NAME.ann`` (the entities). Read only.

In: a folder. Out: one document a pair, with NAME for an id, in the order of the names. The offsets run over the
characters of the text file as it is: as in brat itself, a CRLF counts for two and a byte order mark for one. Of the
annotations the text-bound ones (``T``) are entities and ``R`` lines are relations, whose arguments must be there; an
annotation that brat knows of and we do not need is passed over.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from featstore.errors import DataError, MissingFileError
from featstore.formats.content import Flaw, make_document, make_entity, number
from featstore.formats.contract import BadDocument
from featstore.formats.source import lines, opened
from featstore.records import Document, Entity, StatedRelation

_KINDS = "TREAMN#*"
_RELATION = re.compile(r"(\S+) Arg1:(\S+) Arg2:(\S+)\s*")


def read(path: Path) -> Iterator[Document | BadDocument]:
    """Yield the documents of a folder; a file without its partner is a bad document."""
    if not path.exists():
        raise MissingFileError(f"{path} does not exist.")
    if not path.is_dir():
        raise DataError(f"{path} is a file; brat is a folder of pairs NAME.txt and NAME.ann: name the folder.")
    parts = (os.path.splitext(name) for name in os.listdir(path))
    names = sorted({stem for stem, suffix in parts if suffix in (".txt", ".ann")})
    if not names:
        raise DataError(f"{path} holds no pair NAME.txt and NAME.ann.")
    for name in names:
        annotations = path / f"{name}.ann"
        try:
            yield _document(path / f"{name}.txt", annotations)
        except Flaw as flaw:
            yield BadDocument(name, f"{annotations}, line {flaw.line}" if flaw.line else str(path / name), flaw.why)
        except (MissingFileError, DataError) as error:
            yield BadDocument(name, str(path / name), str(error))


def _document(text_file: Path, annotations: Path) -> Document:
    with opened(text_file) as file:
        raw = file.read()
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Flaw(f"{text_file.name} is not UTF-8 ({error.reason}); save it as UTF-8.") from error
    entities: list[Entity] = []
    ids: set[str] = set()
    relations: list[StatedRelation] = []
    for line in lines(annotations):
        if not line.raw.strip():
            continue
        id_, _, rest = line.text.partition("\t")
        if not id_ or id_[0] not in _KINDS:
            raise Flaw(f"'{id_[:60]}' is no annotation; brat's ids begin with one of {' '.join(_KINDS)}.", line.number)
        if id_ in ids and id_ != "*":
            raise Flaw(f"the id {id_} is given twice.", line.number)
        ids.add(id_)
        try:
            if id_[0] == "T":
                entities.append(_entity(text, id_, rest))
            elif id_[0] == "R":
                relations.append(_relation(id_, rest, line.number))
        except Flaw as flaw:
            raise Flaw(flaw.why, line.number) from flaw
    for relation in relations:
        for argument in relation.arguments:
            if argument not in ids:
                raise Flaw(f"a relation has the argument {argument}, which is not there.", relation.line)
    return replace(make_document(text_file.stem, text, entities), relations=tuple(relations))


def _entity(text: str, id_: str, rest: str) -> Entity:
    """Return the entity of ``Type START END<TAB>MENTION``."""
    span, tab, mention = rest.partition("\t")
    if ";" in span:
        raise Flaw(f"the entity {id_} is in several pieces ({span}); discontinuous mentions are not supported.")
    fields = span.split(" ")
    if not tab or len(fields) != 3:
        raise Flaw(f"'{rest[:60]}' is no entity; TYPE START END<TAB>MENTION is wanted.")
    return make_entity(text, id_, fields[0], number(fields[1], "start"), number(fields[2], "end"), mention=mention)


def _relation(id_: str, rest: str, line: int) -> StatedRelation:
    """Return the relation of ``Type Arg1:T1 Arg2:T2``."""
    found = _RELATION.fullmatch(rest)
    if found is None:
        raise Flaw(f"the relation {id_} is '{rest[:60]}'; TYPE Arg1:ID Arg2:ID is wanted.")
    return StatedRelation(found[1], (found[2], found[3]), line)
