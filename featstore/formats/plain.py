"""What is done to text that comes without mentions, so that sentences and offsets are what a reader of it expects.

In: text as a file, a cell or a field has it. Out: the same text, character for character as long, in which control
characters are blanks and the line breaks of wrapped lines are blanks too: a line break ends a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from featstore.documents import Document, Passage
from featstore.errors import DataError
from featstore.formats.content import Flaw, check_length, check_name, check_text
from featstore.formats.draft import place_of

WRAPPED = range(40, 101)  # characters of the longest line of text that was wrapped

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_PARAGRAPH = re.compile(r"^[^\n]+(?:\n[^\n]+)+", re.MULTILINE)  # tried at line starts only: a line may be long


def clean(text: str) -> str:
    """Return a text with a blank for each control character and for each line break inside a wrapped paragraph.

    A paragraph (lines without an empty one between them) was wrapped if the length of its longest line is in
    :data:`WRAPPED`; a line break in it is a wrap if the next word would have made the line longer than that one.

    Raises:
        Flaw: half of a surrogate pair, or too many characters.
    """
    check_length(len(text))
    return _PARAGRAPH.sub(lambda found: _unwrapped(found[0]), _CONTROL.sub(" ", check_text(text)))


def make_plain(
    id_: str, passages: Iterable[tuple[str, str, str]], path: Path | None = None, line: int | None = None
) -> Document:
    """Return a document without mentions whose passages stand one after the other, a line break between each two.

    Args:
        id_: its id.
        passages: (kind, section, text) of each (:class:`~featstore.documents.Passage`); one without text is left out.
        path: the file that it is read from.
        line: the line that it begins in, where there are lines.

    Raises:
        Flaw: an invalid id, no text at all, or characters that are not text.
    """
    check_name("id of the document", id_)
    texts: list[str] = []
    found: list[Passage] = []
    end = -1
    for kind, section, text in passages:
        if text.strip():
            start = end + 1
            end = start + len(text)
            texts.append(clean(text))
            found.append(Passage(start, end, kind, section))
    if not texts:
        raise Flaw("there is no text in it.")
    check_length(end)
    return Document(id_, "\n".join(texts), (), passages=tuple(found), place=place_of(path, line) if path else "")


def plain_document(id_: str, text: str) -> Document:
    """Return a document of text that comes from no file.

    Raises:
        DataError: there is no text, too much of it, or characters that are not text.
    """
    try:
        return make_plain(id_, [("", "", text)])
    except Flaw as flaw:
        raise DataError(f"the text cannot be read: {flaw.why}") from flaw


def _unwrapped(paragraph: str) -> str:
    lines = paragraph.split("\n")
    width = max(map(len, lines))
    return "".join(_joined(lines, width)) if width in WRAPPED else paragraph


def _joined(lines: Sequence[str], width: int) -> Iterable[str]:
    """Yield lines with what stands between them: a blank where the first word of the next had no room."""
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        yield line
        if following:
            word = following.split(maxsplit=1)[0] if following.strip() else ""
            yield " " if len(line.rstrip()) + 1 + len(word) > width else "\n"
