"""Damaged files: whatever the bytes, a document, a bad document, or one of the errors of the project."""

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from formats_of_text import PLAIN
from hypothesis import given, settings
from hypothesis import strategies as st

from featstore.documents import Document, Entity, Relation
from featstore.errors import FeatstoreError
from featstore.formats import BadDocument, ModelFacts, read_documents, readable, writer_of

TEXT = "Aspirin.\nIt blocks COX-2 (β)."
ENTITIES = (Entity("T1", "CHEMICAL", 0, 7, "Aspirin", "MESH:1"), Entity("T2", "GENE-Y", 19, 24, "COX-2"))
RELATIONS = [Relation(*ENTITIES, "CPR:4", 0.5, {"CPR:4": 0.5}, (9, 29))]
MODEL = ModelFacts("m", "ab", ("CPR:4",))
# What the formats give a meaning to, and numbers that are none.
TOKENS = [b"\n", b"\r", b"\t", b"|", b'"', b"<", b">", b"&", b"{", b"[", b"]", b"}", b",", b":", b";", b"\xff", b"\x00"]
TOKENS += [
    b"null",
    b"-1",
    b"1e999",
    b"\\ud800",
    b"9" * 30,
    b"<passage>",
    b"</document>",
    b"&x;",
    b"R1",
    b"\xef\xbb\xbf",
]


def good(format_: str) -> dict[str, bytes]:
    """The files of three documents in a format."""
    lines = [f"{e.id}\t{e.type} {e.start} {e.end}\t{e.text}\n" for e in ENTITIES]
    if format_ == "brat":
        return {"a.txt": TEXT.encode(), "a.ann": "".join([*lines, "R1\tX Arg1:T1 Arg2:T2\n"]).encode()}
    if format_ == "chemprot":
        rows = [f"{i}\t{e.id}\t{e.type}\t{e.start}\t{e.end}\t{e.text}\n" for i in range(3) for e in ENTITIES]
        abstracts = "".join(f"{i}\t{TEXT.replace(chr(10), chr(9))}\n" for i in range(3))
        return {"a_abstracts.tsv": abstracts.encode(), "a_entities.tsv": "".join(rows).encode()}
    if format_ in PLAIN:
        before, each, after = PLAIN[format_]
        return {"file": (before + "".join(each.format(i, *TEXT.split("\n")) for i in range(3)) + after).encode()}
    writer = writer_of(format_)
    body = writer.separator.join(writer.document(Document(str(i), TEXT, ENTITIES), RELATIONS, MODEL) for i in range(3))
    return {"file": (writer.header(MODEL) + body + writer.footer()).encode()}


@pytest.mark.parametrize("format_", readable())
@settings(max_examples=60)
@given(st.data())
def test_damage_is_told_and_nothing_else_happens(format_: str, data: st.DataObject) -> None:
    files = good(format_)
    name = data.draw(st.sampled_from(sorted(files)))
    for _ in range(data.draw(st.integers(1, 3))):
        raw = files[name]
        start = data.draw(st.integers(0, len(raw)))
        cut = data.draw(st.integers(0, 20))
        files[name] = raw[:start] + data.draw(st.sampled_from([b"", *TOKENS])) + raw[start + cut :]
    with TemporaryDirectory() as folder:
        for each, content in files.items():
            (Path(folder) / each).write_bytes(content)
        path = Path(folder) if "file" not in files else Path(folder) / "file"
        found: list[Document | BadDocument] = []
        with suppress(FeatstoreError):
            found.extend(read_documents(path, format_))
        for one in found:
            if isinstance(one, BadDocument):
                assert one.where.startswith(folder)
                assert one.why
            else:
                assert all(one.text[e.start : e.end] == e.text for e in one.entities)
                for other in ("jsonl", "bioc-json"):
                    writer_of(other).document(one, [], MODEL).encode()
