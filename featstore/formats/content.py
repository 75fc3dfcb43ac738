"""What every format demands of a document, checked in one place.

In: ids, types, offsets and mentions as a reader found them. Out: entities that hold what :mod:`featstore.documents`
promises, or a :class:`Flaw`. A flaw of a mention costs the mention (:mod:`featstore.formats.draft`); one of the
document turns it into a :class:`~featstore.formats.contract.BadDocument`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from featstore.documents import Document, Entity
from featstore.errors import count_of

# Control characters (line breaks and tabs are among them) would break the formats that are written by line.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_BLANK = re.compile(rf"\s|{_CONTROL.pattern}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_NUMBER = re.compile(r"[0-9]{1,12}")
# What files write where a mention has no concept, in small letters, without a vocabulary before it: PubTator "-",
# BC5CDR "-1", BERN2 and ShARe "CUI-less", entity linkers "NIL".
_NO_CONCEPT = {"", "-", "--", "-1", "*", "?", ".", "_", "none", "null", "nil", "nan", "n/a", "na", "unknown", "unk"}
_NO_CONCEPT |= {"cui-less", "cuiless", "cui_less", "no concept", "no_concept", "not found", "undef", "undefined"}
_VOCABULARY = re.compile(r"\A[A-Za-z][\w. -]*:")
_SEVERAL = re.compile(r"[|;,+]")


LONGEST_TEXT = 10_000_000  # characters; a longer text is many documents in one


class Flaw(Exception):
    """What makes one document bad; every reader catches it.

    Attributes:
        why: what was found and what is wanted.
        line: the line it stands in, where that is not the document's first.
    """

    def __init__(self, why: str, line: int | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.line = line


class Misplaced(Flaw):
    """A mention whose offsets lie outside of the text, or at other characters than the file says."""


def number(given: str, what: str) -> int:
    """Return an offset that is given as decimal digits.

    Raises:
        Flaw: it is not made of them (or of more than anyone has characters).
    """
    if not _NUMBER.fullmatch(given):
        raise Flaw(f"the {what} is '{given[:60]}'; a number of 0 or more is wanted.")
    return int(given)


def check_name(what: str, given: str) -> str:
    """Return an id, a type or a concept if it is not empty and fits on a line.

    Raises:
        Flaw: it does not.
    """
    if not given.strip():
        raise Flaw(f"the {what} is empty.")
    if _CONTROL.search(given) or _SURROGATE.search(given):
        raise Flaw(f"the {what} is {given[:60]!r}, which holds a character that cannot be written on a line.")
    return given


def check_length(characters: int) -> None:
    """Make sure that a text is not too long to be one document.

    Raises:
        Flaw: it is.
    """
    if characters > LONGEST_TEXT:
        raise Flaw(
            f"the text has {characters:,} characters; at most {LONGEST_TEXT:,} are read as one document: split it."
        )


def check_text(text: str) -> str:
    """Return a text if it is text: JSON can escape halves of characters.

    Raises:
        Flaw: it holds half of a surrogate pair.
    """
    if half := _SURROGATE.search(text):
        raise Flaw(f"the text holds half of a surrogate pair at {half.start()}, which is no character.")
    return text


def concept_of(given: str | None) -> str | None:
    """Return a concept, or None if it is one of the words for "none": ``-``, ``-1``, ``MESH:-``, ``CUI-less``, ..

    Of several (``D001241|-1``) one is enough for all to be kept as they are.
    """
    parts = _SEVERAL.split(given or "")
    bare = (_VOCABULARY.sub("", part.strip(), count=1).strip().casefold() for part in parts)
    return None if all(part in _NO_CONCEPT for part in bare) else given


def make_entity(
    text: str, id_: str, type_: str, start: int, end: int, *, mention: str | None = None, concept: str | None = None
) -> Entity:
    """Return an entity, checked against the text that its offsets run over.

    Args:
        mention: the mention as the file gives it, which may have blanks for line breaks; None if it does not.
        concept: its concept, if it has one (:func:`concept_of`).

    Raises:
        Misplaced: offsets outside of the text, or a mention that is not its characters.
        Flaw: no characters but blanks; an invalid id, type or concept.
    """
    check_name("id of an entity", id_)
    check_name(f"type of the entity {id_}", type_)
    if not 0 <= start < end <= len(text):
        raise Misplaced(
            f"the entity {id_} is at {start}-{end}, outside the text of {count_of(len(text), 'character')}, or empty."
        )
    found = text[start:end]
    if mention is not None and not same_but_for_blanks(mention, found):
        raise Misplaced(f"the entity {id_} is '{mention[:60]}', but the text has '{found[:60]}' at {start}-{end}.")
    if not on_one_line(found).strip():
        raise Flaw(f"the entity {id_} holds blanks only.")
    concept = concept_of(concept)
    if concept is not None:
        check_name(f"concept of the entity {id_}", concept)
    return Entity(id_, type_, start, end, found, concept)


def make_document(id_: str, text: str, entities: Iterable[Entity]) -> Document:
    """Return a document whose entities have ids of their own; a malformed one is refused as a whole.

    Raises:
        Flaw: an invalid id, or one that is given twice.
    """
    check_name("id of the document", id_)
    found: dict[str, Entity] = {}
    for entity in entities:
        if entity.id in found:
            raise Flaw(f"the entity id {entity.id} is given twice; ids must be unique in a document.")
        found[entity.id] = entity
    return Document(id_, text, tuple(found.values()))


def same_but_for_blanks(one: str, other: str) -> bool:
    """Tell whether two texts are the same characters, of which blanks and line breaks of any kind count as one."""
    return one == other or _BLANK.sub(" ", one) == _BLANK.sub(" ", other)


def on_one_line(text: str) -> str:
    """Return a text with a blank for each tab and each character that some program takes for a line break.

    One for one, so that offsets stay what they are.
    """
    return _CONTROL.sub(" ", text)
