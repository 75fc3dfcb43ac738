"""Plain text: a file is a document or, with ``lines``, each of its lines is one. Read only.

In: UTF-8. Out: documents without mentions. A file's id is its name without the suffix; a line's is that, a colon and
its number. Offsets run over the characters of the file, from its first one after a byte order mark: control characters
(the CR of a CRLF among them) become blanks, one for one, and so do the line breaks of wrapped lines
(:mod:`featstore.formats.plain`). Every other line break ends a sentence.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from featstore.addresses import address_of
from featstore.documents import Document
from featstore.formats.content import LONGEST_TEXT, Flaw
from featstore.formats.contract import BadDocument
from featstore.formats.plain import make_plain
from featstore.formats.source import Begun, Line, pieces
from featstore.formats.source import lines as lines_of


def read(path: Path, *, lines: bool = False) -> Iterator[Document | BadDocument]:
    """Yield the document of a file, or those of its lines; empty lines are passed over.

    A file without text is a bad document, as its name promises one; a pipe that nothing came through holds none.
    """
    unnamed = isinstance(path, Begun) and not address_of(path)
    name = "stdin" if unnamed else path.name.removesuffix(".gz").rpartition(".")[0] or path.name
    if lines:
        for line in lines_of(path):
            id_ = f"{name}:{line.number}"
            try:
                if line.too_long or line.text.strip():
                    yield make_plain(id_, [("", "", line.text)], path, line.number)
            except Flaw as flaw:
                yield BadDocument(id_, f"{path}, line {line.number}", flaw.why)
        return
    try:
        text = _whole(path)
        if text.strip() or not unnamed:
            yield make_plain(name, [("", "", text)], path)
    except Flaw as flaw:
        yield BadDocument(name, str(path), flaw.why)


def _whole(path: Path) -> str:
    """Return the text of a file, of which no more is held than may be in a document."""
    raw = bytearray()
    for piece in pieces(path):
        raw += piece
        if len(raw) > 4 * LONGEST_TEXT:  # a character has at most four bytes
            raise Flaw(
                f"the file is too long: at most {LONGEST_TEXT:,} characters are read as one document; split it, or say "
                "with --lines that each line is a document."
            )
    return Line(1, bytes(raw)).text
