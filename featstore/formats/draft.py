"""A document that is being read, mention by mention: malformed mentions are left out, and the rest is kept.

In: the text, and the mentions as a reader finds them. Out: a document with the mentions that hold, and a
:class:`~featstore.documents.Problem` for each that does not. One bad mention does not cost the document.

*Mentions in pieces.* A discontinuous mention ("ganglionic .. blocking drugs") becomes one stretch, from the first
character of its first piece to the last of its last, and is reported. BioC is written with the pieces that were read.

*Offsets of another text.* Where most of a document's mentions are not the characters at their offsets, the offsets
count something else (UTF-16 units, bytes) or belong to another text. Those that agree do so by chance, so such a
document is a bad one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from featstore.documents import Document, Entity, Passage, Problem, StatedRelation
from featstore.errors import count_of
from featstore.formats.content import (
    Flaw,
    Misplaced,
    check_length,
    check_name,
    check_text,
    make_entity,
    same_but_for_blanks,
)

LEFT_OUT = "mention left out"
IN_PIECES = "mention in pieces, taken from its first character to its last"
DOUBTFUL = "relation between what is not there"
_UNITS = {"UTF-16 units": ("utf-16-le", 2), "bytes of UTF-8": ("utf-8", 1)}


@dataclass(slots=True)
class Draft:
    """What was read of a document so far.

    Attributes:
        id: its id.
        text: its text.
        path: the file that it is read from.
        line: the line that it begins in, where there are lines.
        entities: the mentions that hold, by id.
        relations: those that the input states.
        problems: what was left out or changed.
        passages: the parts of its text, where the format knows them.
    """

    id: str
    text: str
    path: Path
    line: int | None = None
    entities: dict[str, Entity] = field(default_factory=dict)
    relations: list[StatedRelation] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    passages: tuple[Passage, ...] = ()
    _misplaced: list[tuple[str, int, int, str | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        check_name("id of the document", self.id)
        check_length(len(self.text))
        check_text(self.text)

    @contextmanager
    def part(self, line: int | None = None, path: Path | None = None) -> Iterator[None]:
        """Make a flaw in the block a problem of its own: what it reads is left out.

        Args:
            line: the line that it reads.
            path: the file, where that is not the document's.
        """
        try:
            yield
        except Flaw as flaw:
            self.tell(flaw.why, LEFT_OUT, line=line, path=path)

    def tell(
        self, why: str, kind: str, *, lost: bool = True, line: int | None = None, path: Path | None = None
    ) -> None:
        """Add a problem at a line."""
        self.problems.append(Problem(why, place_of(path or self.path, line or self.line), kind, lost))

    def mention(
        self,
        id_: str,
        type_: str,
        spans: Sequence[tuple[int, int]],
        *,
        mention: str | None = None,
        concept: str | None = None,
        line: int | None = None,
    ) -> None:
        """Add a mention.

        Args:
            id_: its id in the document.
            type_: its type.
            spans: its pieces, half-open, in characters of the text; one if it is continuous.
            mention: its characters as the file gives them, if it does.
            concept: see :func:`~featstore.formats.content.make_entity`.
            line: its line, for messages about it.

        Raises:
            Flaw: it does not hold; see :func:`~featstore.formats.content.make_entity`. Or its id is given twice.
        """
        if id_ in self.entities:
            raise Flaw(f"the entity id {id_} is given twice; ids must be unique in a document.")
        if not spans:
            raise Flaw(f"the entity {id_} has no offsets; the offsets of its characters are wanted.")
        start, end = min(span[0] for span in spans), max(span[1] for span in spans)
        whole = mention
        if len(spans) > 1 and mention is not None and _agree(self.text, spans, mention):
            whole = None  # the characters between the pieces are no part of it
        try:
            self.entities[id_] = make_entity(self.text, id_, type_, start, end, mention=whole, concept=concept)
        except Misplaced:
            self._misplaced.append((id_, start, end, mention))
            raise
        if len(spans) > 1:
            pieces = ", ".join(f"{first}-{last}" for first, last in spans)
            self.tell(
                f"the entity {id_} is in {len(spans)} pieces ({pieces}); it is taken as the stretch {start}-{end}.",
                IN_PIECES,
                lost=False,
                line=line,
            )

    def document(self) -> Document:
        """Return the document.

        Raises:
            Flaw: most of its mentions are not at their offsets.
        """
        wrong, right = len(self._misplaced), len(self.entities)
        if wrong > 1 and wrong > right:
            raise Flaw(f"{wrong} of its {wrong + right} mentions are not at their offsets: {self._what_is_wrong()}")
        return Document(
            self.id,
            self.text,
            tuple(self.entities.values()),
            passages=self.passages,
            relations=tuple(self.relations),
            place=place_of(self.path, self.line),
            problems=tuple(self.problems),
        )

    def _what_is_wrong(self) -> str:
        id_, start, end, mention = self._misplaced[0]
        found = self.text[start:end][:60]
        for unit, (encoding, width) in _UNITS.items():
            raw = self.text.encode(encoding)
            if all(
                given is not None
                and same_but_for_blanks(given, raw[start * width : end * width].decode(encoding, "replace"))
                for _, start, end, given in self._misplaced
            ):
                return f"they count {unit}; offsets in characters (Unicode code points) are wanted."
        given = "" if mention is None else f" is '{mention[:60]}', and"
        return f"the entity {id_}{given} at {start}-{end} has '{found}' of {count_of(len(self.text), 'character')}."


def title_and_abstract(text: str) -> tuple[Passage, ...]:
    """Return the passages of a text whose first line is its title."""
    end = text.find("\n")
    if end < 0:
        return (Passage(0, len(text), "title"),)
    return Passage(0, end, "title"), Passage(end + 1, len(text), "abstract")


def place_of(path: Path, line: int | None = None) -> str:
    """Return a file and, if there is one, a line of it as messages name them."""
    return str(path) if line is None else f"{path}, line {line}"


def _agree(text: str, spans: Sequence[tuple[int, int]], mention: str) -> bool:
    """Tell whether a mention is the characters of its pieces, or of the whole stretch, whatever stands between them."""
    pieces = ("".join(text[start:end].split()) for start, end in sorted(spans))
    return all(0 <= start < end for start, end in spans) and "".join(pieces) == "".join(mention.split())
