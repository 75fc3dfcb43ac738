"""One small document with relations, as every writer gets it, and its model."""

from collections.abc import Callable
from pathlib import Path

import pytest

from featstore.documents import Document, Entity, Relation
from featstore.formats import BadDocument, ModelFacts, read_documents

TEXT = "Aspirin and COX-2.\nAspirin (ASA) blocks COX-2, but 𝛼-tocopherol does not."


def entity(id_: str, type_: str, mention: str, after: int = 0, concept: str | None = None) -> Entity:
    start = TEXT.index(mention, after)
    return Entity(id_, type_, start, start + len(mention), mention, concept)


@pytest.fixture
def document() -> Document:
    """A title and an abstract; T3 lies in T4, T5 holds a character beyond the basic plane."""
    return Document(
        "7",
        TEXT,
        (
            entity("T1", "CHEMICAL", "Aspirin"),
            entity("T2", "GENE-Y", "COX-2"),
            entity("T3", "CHEMICAL", "Aspirin", 10, "MESH:D001241"),
            entity("T4", "CHEMICAL", "Aspirin (ASA)", 10),
            entity("T5", "CHEMICAL", "𝛼-tocopherol"),
            entity("T6", "GENE-Y", "COX-2", 20),
        ),
    )


@pytest.fixture
def relations(document: Document) -> list[Relation]:
    """A positive and a negative one."""
    _, _, aspirin, _, tocopherol, gene = document.entities
    return [
        Relation(aspirin, gene, "CPR:4", 0.9, {"NONE": 0.1, "CPR:4": 0.9}, (19, 72), ((19, 26, 0.75), (40, 45, 0.25))),
        Relation(tocopherol, gene, "NONE", 0.8, {"NONE": 0.8, "CPR:4": 0.2}, (19, 72)),
    ]


@pytest.fixture
def model() -> ModelFacts:
    return ModelFacts("gad-run", "ab" * 16, ("CPR:4",))


Check = Callable[[Path, str | None, str], Document]


@pytest.fixture
def left_out() -> Check:
    """How a malformed mention is reported: by default it alone is left out, with ``strict`` its document is.

    The second of three documents of ``path`` has the problem; it is returned as it is read by default.
    """

    def checked(path: Path, place: str | None, why: str) -> Document:
        before, kept, after = read_documents(path)
        assert isinstance(before, Document)
        assert isinstance(kept, Document)
        assert isinstance(after, Document)
        assert (before.problems, after.problems) == ((), ())
        first = kept.problems[0]
        assert why in first.why
        assert place in (None, first.place)
        _, bad, _ = read_documents(path, strict=True)
        assert bad == BadDocument(kept.id, first.place, first.why)
        return kept

    return checked


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """Write a file below the test's folder."""

    def written(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        return path

    return written
