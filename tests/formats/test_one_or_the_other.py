"""A record is refused or read, never both: no document that is reported as bad is in the output too, stripped."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featstore.documents import Document, Entity
from featstore.errors import DataError
from featstore.formats import BadDocument, ModelFacts, read_documents, writer_of

MODEL = ModelFacts("toy", "ab", ("CPR:4",))
ASPIRIN = Entity("T1", "CHEMICAL", 0, 7, "Aspirin")
DOCUMENTS = [
    Document(f"doc{n}", f"Aspirin {n} blocks it.\nCOX-{n} was inhibited. It was.", (ASPIRIN,)) for n in range(4)
]
EDITS = st.lists(
    st.tuples(st.sampled_from(["blank", "delete", "cut", "untab", "swap"]), st.integers(0, 10_000)), max_size=3
)


def edited(parts: list[str], edits: list[tuple[str, int]]) -> list[str]:
    """Return the lines or elements of a file after some edits."""
    for how, draw in edits:
        place = draw % len(parts)
        part = parts[place]
        if how == "blank":
            parts = [*parts[:place], "", *parts[place:]]
        elif how == "delete":
            parts = [*parts[:place], *parts[place + 1 :]] or [""]
        elif how == "cut":
            parts[place] = part[: draw % (len(part) + 1)]
        elif how == "untab":
            parts[place] = part.replace("\t", " ", 1)
        elif place:  # neighbours; the first line at the end of the file would be the orphan of another document
            parts[place - 1], parts[place] = part, parts[place - 1]
    return parts


@pytest.mark.parametrize(("name", "end"), [("pubtator", "\n"), ("jsonl", "\n"), ("bioc-json", "\n"), ("bioc-xml", ">")])
@given(edits=EDITS)
@settings(max_examples=60, deadline=None)
def test_no_document_is_both_bad_and_read(name: str, end: str, edits: list[tuple[str, int]]) -> None:
    writer = writer_of(name)
    pieces = [writer.document(document, [], MODEL) for document in DOCUMENTS]
    whole = writer.header(MODEL) + writer.separator.join(pieces) + writer.footer()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "documents"
        path.write_text(end.join(edited(whole.split(end), edits)))
        try:
            found = list(read_documents(path, name))
        except DataError:
            return  # nothing was read
    bad = {each.id for each in found if isinstance(each, BadDocument)} - {""}
    assert not bad & {each.id for each in found if isinstance(each, Document)}
