"""Published files read end to end, where they are at hand: as many documents and mentions come out as are in.

What is in a file is counted by a pattern, not by the reader. The mentions that the readers leave out are listed here by
their number; each is reported.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from featstore.documents import Document
from featstore.formats import BadDocument, read_documents
from featstore.formats.draft import LEFT_OUT

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the real corpora are not here")
# format -> patterns of a document and of a mention
PATTERNS = {
    "pubtator": (rb"^\d+\|t\|", rb"^\d+\t\d+\t\d+\t"),
    "bioc-xml": (rb"<document>", rb"<annotation\b"),
    "bioc-json": (rb'"passages"\s*:', rb'"locations"\s*:'),
}

# Mentions in several pieces whose characters, as the file gives them, are not those at its offsets.
LEFT_OUT_OF_BC5CDR = {"CDR_TrainingSet.BioC.xml": 3, "CDR_DevelopmentSet.BioC.xml": 1}


@dataclass(frozen=True)
class Counts:
    documents: int
    mentions: int


def counted(raw: bytes, format_: str) -> Counts:
    return Counts(*(len(re.findall(pattern, raw, re.MULTILINE)) for pattern in PATTERNS[format_]))


def rows(path: Path) -> int:
    return sum(bool(line.strip()) for line in path.read_bytes().split(b"\n"))


def came_out(path: Path, format_: str | None, left_out: int = 0) -> Counts:
    """What is read, if no document is bad, each mention is its characters, and ``left_out`` are reported as lost."""
    documents: list[Document] = []
    for found in read_documents(path, format_):
        assert not isinstance(found, BadDocument), found
        documents.append(found)
    assert all(d.text[e.start : e.end] == e.text for d in documents for e in d.entities)
    problems = [problem for d in documents for problem in d.problems if problem.lost]
    assert {problem.kind for problem in problems} <= {LEFT_OUT}
    assert len(problems) == left_out, problems[:3]
    return Counts(len(documents), sum(len(d.entities) for d in documents) + left_out)


@pytest.mark.parametrize("form", [("PubTator.txt", "pubtator"), ("BioC.xml", "bioc-xml")], ids=lambda form: form[1])
@pytest.mark.parametrize("part", ["Training", "Development", "Test"])
def test_bc5cdr(part: str, form: tuple[str, str]) -> None:
    path = DATA / "bc5cdr" / f"CDR_{part}Set.{form[0]}"
    there = counted(path.read_bytes(), form[1])
    assert there.documents == 500
    assert came_out(path, None, LEFT_OUT_OF_BC5CDR.get(path.name, 0)) == there


@pytest.fixture(scope="module")
def biored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unzipped(DATA / "biored" / "BIORED.zip", tmp_path_factory.mktemp("biored"))


@pytest.fixture(scope="module")
def ddi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unzipped(DATA / "ddi2013" / "DDICorpus-2013-BRAT.zip", tmp_path_factory.mktemp("ddi"))


def unzipped(archive: Path, folder: Path) -> Path:
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    return folder


@pytest.mark.parametrize("ending", ["PubTator", "BioC.XML", "BioC.JSON"])
@pytest.mark.parametrize(("part", "documents"), [("Train", 400), ("Dev", 100), ("Test", 100)])
def test_biored(biored: Path, part: str, documents: int, ending: str) -> None:
    (path,) = (each for each in biored.rglob(f"{part}.{ending}") if not each.name.startswith("."))
    format_ = {"PubTator": "pubtator", "BioC.XML": "bioc-xml", "BioC.JSON": "bioc-json"}[ending]
    there = counted(path.read_bytes(), format_)
    assert there.documents == documents
    assert came_out(path, None) == there


@pytest.mark.parametrize("part", ["development", "training_partial"])
def test_drugprot(part: str) -> None:
    folder = DATA / "drugprot" / part
    (abstracts,), (entities,) = (list(folder.glob(f"*_{what}.tsv")) for what in ("abstracs", "entities"))
    assert came_out(folder, None) == Counts(rows(abstracts), rows(entities))


@pytest.mark.parametrize("part", ["training", "development", "test"])
def test_chemprot(part: str) -> None:
    (abstracts,) = (DATA / "chemprot").rglob(f"chemprot_{part}_abstracts*.tsv")
    entities = abstracts.with_name(abstracts.name.replace("abstracts", "entities"))
    assert came_out(abstracts.parent, None) == Counts(rows(abstracts), rows(entities))


def folders_of(root: Path) -> Iterator[Path]:
    yield from sorted({path.parent for path in root.rglob("*.ann") if "__MACOSX" not in path.parts})


def test_ddi_in_brat(ddi: Path) -> None:
    for folder in folders_of(ddi):
        files = [path for path in folder.glob("*.ann") if not path.name.startswith(".")]
        mentions = sum(len(re.findall(rb"^T\d+\t", path.read_bytes(), re.MULTILINE)) for path in files)
        assert came_out(folder, None) == Counts(len(files), mentions), folder
