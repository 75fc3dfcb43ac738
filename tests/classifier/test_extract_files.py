"""Extraction from files: the output is whole or not there, and going on gives what one go would have given."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from toy_model import WordEncoder, make_document, make_extractor

from classifier.extract import Extracted, ExtractionJob, extract_files, journal, work
from classifier.extract.report import COLLECTION_LEFT_OUT, DOCUMENT_LEFT_OUT
from classifier.extract.wanted import Wanted
from featstore.documents import Document, Problem
from featstore.errors import DataError, MismatchError, MissingFileError, UsageError
from featstore.formats import BadDocument, read_documents, writable

DOCUMENTS = 40


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "WINDOW_DOCUMENTS", 8)
    monkeypatch.setattr(journal, "JOURNAL_SECONDS", 0.0)


def line(number: int) -> str:
    document = make_document(number, pairs=1 + number % 3)
    entities = [{"id": e.id, "type": e.type, "start": e.start, "end": e.end} for e in document.entities]
    return json.dumps({"id": document.id, "text": document.text, "entities": entities})


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "documents.jsonl"
    path.write_text("".join(line(n) + "\n" for n in range(DOCUMENTS)), encoding="utf-8")
    return path


def stop_at(sentence: str, how: Callable[[], None]) -> WordEncoder:
    def before(batch: Sequence[Sequence[str]]) -> None:
        if any(sentence in tokens for tokens in batch):
            how()

    return WordEncoder(before)


def interrupt() -> None:
    raise KeyboardInterrupt


def test_all_documents_in_order_and_several_sources(source: Path, tmp_path: Path) -> None:
    second = tmp_path / "more.jsonl"
    second.write_text(line(DOCUMENTS) + "\n")
    done = extract_files(
        make_extractor(), ExtractionJob([source, second], tmp_path / "out.jsonl", wanted=Wanted(threshold=0.0))
    )
    written = [json.loads(text) for text in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [each["id"] for each in written] == [str(n) for n in range(DOCUMENTS + 1)]
    assert (done.documents, done.bad, done.resumed_at) == (DOCUMENTS + 1, 0, 0)
    assert (
        done.pairs
        == done.relations
        == sum(len(each["relations"]) for each in written)
        == sum(1 + n % 3 for n in range(DOCUMENTS + 1))
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["documents.jsonl", "more.jsonl", "out.jsonl"]
    assert len(list(read_documents(tmp_path / "out.jsonl"))) == DOCUMENTS + 1


def reporter(told: list[tuple[str, Problem]]) -> Callable[[str, Problem], None]:
    return lambda id_, problem: told.append((id_, problem))


def test_a_bad_document_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    source, told = tmp_path / "documents.jsonl", list[tuple[str, Problem]]()
    source.write_text(f'{line(0)}\n{{"id": "bad", "text": 3}}\n{line(2)}\n')
    done = extract_files(make_extractor(), ExtractionJob([source], tmp_path / "out.jsonl"), report=reporter(told))
    assert [(id_, problem.place, problem.lost) for id_, problem in told] == [("bad", f"{source}, line 2", True)]
    assert (done.documents, done.bad) == (3, 1)
    ids = [json.loads(text)["id"] for text in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert ids == ["0", "2"]


MENTIONS = [
    {"id": "T1", "type": "CHEMICAL", "start": 0, "end": 7},
    {"id": "T2", "type": "GENE", "start": 17, "end": 22},
]


def write_lines(path: Path, *documents: dict[str, object]) -> Path:
    text = {"text": "Aspirin inhibits COX-2.", "entities": MENTIONS}
    path.write_text("".join(json.dumps(text | document) + "\n" for document in documents))
    return path


def test_a_mention_that_is_not_right_costs_itself_or_with_strict_its_document(tmp_path: Path) -> None:
    wrong = {"id": "T3", "type": "GENE", "start": 30, "end": 40}
    source = write_lines(tmp_path / "in.jsonl", {"id": "1", "entities": [*MENTIONS, wrong]}, {"id": "2"})
    for strict, documents in ((False, 2), (True, 1)):
        told: list[tuple[str, Problem]] = []
        job = ExtractionJob([source], tmp_path / f"{strict}.jsonl", wanted=Wanted(threshold=0), strict=strict)
        done = extract_files(make_extractor(), job, report=reporter(told))
        assert [(id_, problem.place) for id_, problem in told] == [("1", f"{source}, line 1")]
        assert (done.documents, done.bad, done.lost) == (2, int(strict), int(not strict))
        assert done.problems == ({} if strict else {"mention left out": 1})
        assert done.relations == len(job.target.read_text().splitlines()) == documents


def test_what_is_found_as_pairs_are_made_is_told_with_file_and_line(tmp_path: Path) -> None:
    """A sentence that is too long costs its pairs, a mention without a word itself; other pairs are kept."""
    endless = "Aspirin " * 9000 + "COX-2.\nAspirin inhibits COX-2."
    ends = [(0, 7, "CHEMICAL"), (72000, 72005, "GENE"), (72007, 72014, "CHEMICAL"), (72024, 72029, "GENE")]
    long = [{"id": f"T{n}", "type": type_, "start": a, "end": b} for n, (a, b, type_) in enumerate(ends)]
    wordless = [*MENTIONS, {"id": "T3", "type": "GENE", "start": 23, "end": 24}]
    first = write_lines(tmp_path / "a.jsonl", {"id": "a"})
    second = write_lines(
        tmp_path / "b.jsonl",
        {"id": "b", "text": endless, "entities": long},
        {"id": "c", "text": "Aspirin inhibits COX-2.\u00ad", "entities": wordless},
    )
    told: list[tuple[str, Problem]] = []
    job = ExtractionJob([first, second], tmp_path / "out.jsonl", wanted=Wanted(threshold=0))
    done = extract_files(make_extractor(), job, report=reporter(told))
    assert [(id_, problem.place) for id_, problem in told] == [("b", f"{second}, line 1"), ("c", f"{second}, line 2")]
    assert (done.bad, done.lost, done.relations) == (0, 2, 3)
    strict = ExtractionJob([first, second], tmp_path / "strict.jsonl", wanted=Wanted(threshold=0), strict=True)
    done = extract_files(make_extractor(), strict)
    assert (done.bad, done.lost, done.relations) == (2, 0, 1)


def test_documents_that_are_not_what_the_model_was_made_for_are_told_by_name(tmp_path: Path) -> None:
    species = [{"id": "T1", "type": "SPECIES", "start": 0, "end": 7}]
    source = write_lines(
        tmp_path / "in.jsonl", {"id": "1", "entities": []}, {"id": "2", "entities": species}, {"id": "3"}
    )
    told: list[tuple[str, Problem]] = []
    done = extract_files(make_extractor(), ExtractionJob([source], tmp_path / "out"), report=reporter(told))
    assert [(id_, problem.why, problem.lost) for id_, problem in told] == [
        ("1", "the document has no mentions.", False),
        ("2", "the model relates CHEMICAL and GENE; the document has SPECIES.", False),
    ]
    assert done.problems == {}


def test_a_document_in_two_files_is_written_once(tmp_path: Path) -> None:
    paths = [write_lines(tmp_path / name, {"id": "1"}) for name in ("a.jsonl", "b.jsonl")]
    told: list[tuple[str, Problem]] = []
    done = extract_files(make_extractor(), ExtractionJob(paths, tmp_path / "out"), report=reporter(told))
    assert (done.documents, done.bad) == (2, 1)
    assert "given twice" in told[0][1].why


COLLECTION = """<collection><source>{0}</source><date>2024</date><key>k</key><infon key="license">CC BY 4.0</infon>
<document><id>{0}</id><passage><offset>0</offset><text>Nothing.</text></passage></document></collection>"""


@pytest.mark.parametrize("to", ["bioc-xml", "bioc-json"])
def test_what_a_collection_says_of_itself_is_kept(tmp_path: Path, to: str) -> None:
    paths = [tmp_path / f"{name}.xml" for name in ("a", "b")]
    for path in paths:
        path.write_text(COLLECTION.format(path.stem))
    told: list[tuple[str, Problem]] = []
    job = ExtractionJob(paths, tmp_path / "out", target_format=to)
    done = extract_files(make_extractor(), job, report=reporter(told))
    first, _ = read_documents(job.target, to)
    assert isinstance(first, Document)
    assert first.collection is not None
    infons = first.collection["infons"]
    assert {**first.collection, "infons": infons["license"]} == {
        "source": "a", "date": "2024", "key": "k", "infons": "CC BY 4.0"
    }  # fmt: skip
    assert infons["fingerprint"] == make_extractor().facts.fingerprint
    assert [(id_, problem.kind) for id_, problem in told if problem.lost] == [("b", COLLECTION_LEFT_OUT)]
    assert done.problems == {COLLECTION_LEFT_OUT: 1}
    extract_files(make_extractor(), ExtractionJob(paths, tmp_path / "lines"))  # where it has no place, nothing is told


@pytest.mark.parametrize("to", writable())
def test_an_interrupted_extraction_goes_on(source: Path, tmp_path: Path, to: str) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    extract_files(make_extractor(), ExtractionJob([source], whole, target_format=to))
    for drug in ("drug5", "drug20", "drug33"):
        with pytest.raises(KeyboardInterrupt):
            extract_files(make_extractor(stop_at(drug, interrupt)), ExtractionJob([source], cut, target_format=to))
        assert not cut.exists()
    with (tmp_path / "cut.part").open("ab") as part:
        part.write(b"what a killed writer had not flushed")
    seen: list[Sequence[str]] = []
    done = extract_files(make_extractor(WordEncoder(seen.extend)), ExtractionJob([source], cut, target_format=to))
    assert done.resumed_at == 32
    assert all(tokens[3] >= "drug32" for tokens in seen)
    assert cut.read_bytes() == whole.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cut", "documents.jsonl", "whole"]


def test_a_killed_extraction_goes_on(source: Path, tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom toy_model import WordEncoder, make_extractor\n"
        "from classifier.extract import ExtractionJob, extract_files, journal, work\n"
        "work.WINDOW_DOCUMENTS = 8\njournal.JOURNAL_SECONDS = 0.0\n"
        "def before(batch):\n    if any('drug20' in tokens for tokens in batch): os.kill(os.getpid(), signal.SIGKILL)\n"
        "extract_files(make_extractor(WordEncoder(before)), ExtractionJob([Path(sys.argv[1])], Path(sys.argv[2])))\n"
    )
    paths = ":".join(map(str, (Path(__file__).parents[1] / "toys", Path(__file__).parents[2])))
    command = [sys.executable, "-c", code, str(source), str(tmp_path / "cut")]
    killed = subprocess.run(command, env={"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert extract_files(make_extractor(), ExtractionJob([source], tmp_path / "cut")).resumed_at == 16
    extract_files(make_extractor(), ExtractionJob([source], tmp_path / "whole"))
    assert (tmp_path / "cut").read_bytes() == (tmp_path / "whole").read_bytes()


def test_the_part_of_another_extraction_is_not_gone_on_with(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def attempt(drug: str = "nothing", **options: object) -> Extracted:
        return extract_files(make_extractor(stop_at(drug, interrupt)), ExtractionJob([source], out, **options))  # type: ignore[arg-type]

    with pytest.raises(KeyboardInterrupt):
        attempt("drug20")
    kept = (tmp_path / "out.part").read_bytes()
    with pytest.raises(UsageError, match=r"threshold is None there and 0\.3 now.* --fresh"):
        attempt(wanted=Wanted(threshold=0.3))
    with pytest.raises(UsageError, match="to is 'jsonl' there and 'tsv' now"):
        attempt(target_format="tsv")
    with pytest.raises(UsageError, match="model is"):
        extract_files(make_extractor(context="tagged"), ExtractionJob([source], out))
    text = source.read_text()
    source.write_text(text.replace("drug3 ", "drug4 "))
    with pytest.raises(MismatchError, match="first 16 documents are not those"):
        attempt()
    source.write_text(text)
    assert (tmp_path / "out.part").read_bytes() == kept
    journal = (tmp_path / "out.part.json").read_text()
    for damaged, says in ((journal[:-9], "not JSON"), ("[]", "not a journal"), (journal, "shorter")):
        (tmp_path / "out.part.json").write_text(damaged)
        (tmp_path / "out.part").write_bytes(kept[:-1] if says == "shorter" else kept)
        with pytest.raises(DataError, match=says):
            attempt()
    assert attempt(fresh=True, wanted=Wanted(threshold=0.3)).resumed_at == 0
    # Documents that came later are no change of those that were done.
    with pytest.raises(KeyboardInterrupt):
        attempt("drug20")
    with source.open("a") as file:
        file.write(line(DOCUMENTS) + "\n")
    assert attempt().documents == DOCUMENTS + 1


def test_what_cannot_be_extracted_leaves_nothing(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(MissingFileError, match="nowhere"):
        extract_files(make_extractor(), ExtractionJob([source, tmp_path / "nowhere.jsonl"], out))
    with pytest.raises(UsageError, match="input and output"):
        extract_files(make_extractor(), ExtractionJob([source], source))
    with pytest.raises(UsageError, match="output format 'tvs'"):
        extract_files(make_extractor(), ExtractionJob([source], out, target_format="tvs"))
    (tmp_path / "wrong.jsonl").write_text("no JSON\n")
    with pytest.raises(DataError, match="JSON"):
        extract_files(make_extractor(), ExtractionJob([tmp_path / "wrong.jsonl"], out, source_format="jsonl"))
    with pytest.raises(KeyboardInterrupt):
        extract_files(make_extractor(stop_at("drug0", interrupt)), ExtractionJob([source], out))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["documents.jsonl", "wrong.jsonl"]


@pytest.mark.parametrize("name", ["pairs.jsonl", "pairs.ndjson"])
def test_marked_pairs_are_classified_as_they_stand(tmp_path: Path, name: str) -> None:
    source = tmp_path / name
    texts = ["Aspirin blocks COX-2.", "Aspirin does not block COX-1."]
    heads = [{"start": 0, "end": 7, "type": "CHEMICAL"} for _ in texts]
    tails = [{"start": len(text) - 6, "end": len(text) - 1, "type": "GENE"} for text in texts]
    rows = [{"text": t, "head": h, "tail": g} for t, h, g in zip(texts, heads, tails, strict=True)]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = extract_files(make_extractor(), ExtractionJob([source], tmp_path / "out.jsonl"))
    assert done.relations == 2
    written = [json.loads(text) for text in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [(each["id"], each["line"]) for each in written] == [("1", 1), ("2", 2)]
    for each, text in zip(written, texts, strict=True):
        (relation,) = make_extractor().extract(
            text, [(0, 7, "CHEMICAL"), (len(text) - 6, len(text) - 1, "GENE")], threshold=0
        )
        assert each["probabilities"] == pytest.approx(relation.probabilities, abs=1e-6)
        assert each["label"] == max(relation.probabilities, key=relation.probabilities.__getitem__)
    with pytest.raises(UsageError, match="as they stand"):
        extract_files(make_extractor(), ExtractionJob([source], tmp_path / "out.tsv", target_format="tsv"))


def test_a_document_that_the_output_cannot_hold(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from featstore.formats import jsonl

    written = jsonl.document

    def picky(document: object, *rest: object) -> str:
        if document.id == "3":  # type: ignore[attr-defined]
            raise DataError("the format cannot hold it.")
        return written(document, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(jsonl, "document", picky)
    told: list[tuple[str, Problem]] = []
    done = extract_files(make_extractor(), ExtractionJob([source], tmp_path / "out"), report=reporter(told))
    unwritten = Problem("the format cannot hold it.", f"{source}, line 4", DOCUMENT_LEFT_OUT)
    assert (done.documents, done.bad, told) == (DOCUMENTS, 1, [("3", unwritten)])


def test_documents_without_relations_are_counted_by_the_reason(tmp_path: Path) -> None:
    source, out = tmp_path / "documents.jsonl", tmp_path / "out.jsonl"
    chemical = {"id": "T1", "type": "SimpleChemical", "start": 0, "end": 7}
    species = {"id": "T2", "type": "SPECIES", "start": 17, "end": 21}
    entities: list[list[dict[str, object]]] = [[], [chemical], [chemical, species]]
    rows = [{"id": str(n), "text": "Aspirin heals in rats.", "entities": given} for n, given in enumerate(entities)]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = extract_files(make_extractor(), ExtractionJob([source], out))
    assert done.nothing == {"no mentions": 1, "no pair of the model's types": 2}
    assert done.types == {"SimpleChemical": "CHEMICAL", "SPECIES": ""}
    whys = [json.loads(text)["nothing"]["why"] for text in out.read_text().splitlines()]
    assert whys[2] == "the model relates CHEMICAL and GENE; the document has SimpleChemical, SPECIES."
    assert [d.id for d in read_documents(out) if not isinstance(d, BadDocument)] == ["0", "1", "2"]
