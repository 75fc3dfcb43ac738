"""brat standoff: a folder of pairs ``NAME.txt`` (the text) and ``NAME.ann`` (the entities). Read only.

In: a folder. Out: one document a pair, with NAME for an id, in the order of the names. The offsets run over the
characters of the text file as it is: as in brat itself, a CRLF counts for two and a byte order mark for one. Of the
annotations the text-bound ones (``T``) are entities, ``R`` lines are relations, whose arguments must be there, and a
reference of an entity (``N``) is its concept; an annotation that brat knows of and we do not need is passed over. Each
file may be gzipped. Names that begin with a dot are no documents: programs leave them (``._NAME.txt`` of macOS).
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from featstore.documents import Document, StatedRelation
from featstore.errors import DataError, MissingFileError
from featstore.formats.content import Flaw, number
from featstore.formats.contract import BadDocument
from featstore.formats.draft import DOUBTFUL, Draft, place_of
from featstore.formats.folders import left_behind, plain_or_packed, visible
from featstore.formats.source import lines, opened

_KINDS = "TREAMN#*"
_SUFFIXES = (".txt", ".ann")
_RELATION = re.compile(r"(\S+) Arg1:(\S+) Arg2:(\S+)\s*")
_REFERENCE = re.compile(r"\S+ (T\S+) (\S+)")


def read(path: Path) -> Iterator[Document | BadDocument]:
    """Yield the documents of a folder; a file without its partner is a bad document."""
    if not path.exists():
        raise MissingFileError(f"{path} does not exist.")
    if not path.is_dir():
        raise DataError(f"{path} is a file; brat is a folder of pairs NAME.txt and NAME.ann: name the folder.")
    names, deeper = _names(path), list(_folders_below(path))
    if not names:
        shown = ", ".join(map(str, deeper[:5])) + (f" and {len(deeper) - 5} more" if len(deeper) > 5 else "")
        within = f" Subfolders do: {shown}. Name one of them." if deeper else ""
        raise DataError(f"{path} holds no pair NAME.txt and NAME.ann.{within}")
    for name in names:
        text_file, annotations = (plain_or_packed(path / f"{name}{suffix}") for suffix in _SUFFIXES)
        try:
            yield _document(text_file, annotations)
        except Flaw as flaw:
            yield BadDocument(name, place_of(annotations, flaw.line) if flaw.line else str(path / name), flaw.why)
        except (MissingFileError, DataError) as error:
            yield BadDocument(name, str(path / name), str(error))
    for folder in deeper:
        yield BadDocument("", str(folder), "the pairs in a subfolder are not read; name it as an input of its own.")


def _names(folder: Path) -> list[str]:
    """Return the names of the pairs in a folder, with those of files that lack their partner."""
    with os.scandir(folder) as entries:
        files = [each.name.removesuffix(".gz") for each in entries if not left_behind(each.name) and each.is_file()]
    return sorted({name.removesuffix(suffix) for name in files for suffix in _SUFFIXES if name.endswith(suffix)})


def _folders_below(folder: Path) -> Iterator[Path]:
    """Yield the folders inside of a folder, at any depth, that hold pairs."""
    for place, folders, _ in os.walk(folder):
        folders[:] = sorted(name for name in folders if not left_behind(name))
        yield from (Path(place, name) for name in folders if visible(Path(place, name), ["*.ann*"]))


def _stem(name: str) -> str:
    return name.removesuffix(".gz").removesuffix(".txt")


def _document(text_file: Path, annotations: Path) -> Document:
    with opened(text_file) as file:
        raw = file.read()
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Flaw(f"{text_file.name} is not UTF-8 ({error.reason}); save it as UTF-8.") from error
    draft = Draft(_stem(text_file.name), text, annotations)
    ids: set[str] = set()
    concepts: defaultdict[str, list[str]] = defaultdict(list)
    entities: list[tuple[int, str, str]] = []
    for line in lines(annotations):
        if not line.raw.strip():
            continue
        with draft.part(line.number):
            id_, _, rest = line.text.partition("\t")
            if not id_ or id_[0] not in _KINDS:
                raise Flaw(f"'{id_[:60]}' is not an annotation; brat's ids begin with one of {' '.join(_KINDS)}.")
            if id_ in ids and id_ != "*":
                raise Flaw(f"the id {id_} is given twice.")
            ids.add(id_)
            if id_[0] == "T":
                entities.append((line.number, id_, rest))
            elif id_[0] == "R":
                draft.relations.append(_relation(id_, rest, line.number))
            elif id_[0] == "N" and (reference := _REFERENCE.match(rest)):
                concepts[reference[1]].append(reference[2])
    for number_, id_, rest in entities:
        with draft.part(number_):
            _add(draft, id_, rest, "|".join(concepts[id_]), number_)
    for relation in draft.relations:
        for argument in relation.arguments:
            if argument not in ids:
                why = f"a relation has the argument {argument}, which is not there."
                draft.tell(why, DOUBTFUL, lost=False, line=relation.line)
    return draft.document()


def _add(draft: Draft, id_: str, rest: str, concept: str, line: int) -> None:
    """Add the mention of ``Type START END<TAB>MENTION``, or ``Type START END;START END<TAB>MENTION``."""
    span, tab, mention = rest.partition("\t")
    type_, _, offsets = span.partition(" ")
    pieces = [piece.split(" ") for piece in offsets.split(";")]
    if not tab or any(len(piece) != 2 for piece in pieces):
        raise Flaw(f"'{rest[:60]}' is not an entity; TYPE START END<TAB>MENTION is wanted.")
    spans = [(number(start, "start"), number(end, "end")) for start, end in pieces]
    draft.mention(id_, type_, spans, mention=mention, concept=concept, line=line)


def _relation(id_: str, rest: str, line: int) -> StatedRelation:
    """Return the relation of ``Type Arg1:T1 Arg2:T2``."""
    found = _RELATION.fullmatch(rest)
    if found is None:
        raise Flaw(f"the relation {id_} is '{rest[:60]}'; TYPE Arg1:ID Arg2:ID is wanted.")
    return StatedRelation(found[1], (found[2], found[3]), line)
