"""``cli extract`` as a newcomer types it: text, standard input, files of any kind."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toy_model import write_toy_bundle
from toy_tagging import make_text_extractor

from classifier.extract import models, standing, work
from classifier.extract.extractor import Extractor

Run = Callable[..., Any]
TEXT = "Aspirin inhibits COX-2 in human platelets."
EVERY = ("--threshold", "0")


@pytest.fixture(autouse=True)
def loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """Models that need no files: what was asked of them is noted."""
    asked: dict[str, Any] = {}

    def load(path: Path, **options: Any) -> Extractor:
        asked.update(options, path=path)
        return make_text_extractor(mode=options["tag"])

    write_toy_bundle(tmp_path / "shipped/chemprot")
    monkeypatch.setattr(models, "bundled", lambda _: tmp_path / "shipped")
    monkeypatch.setattr(Extractor, "load", load)
    return asked


def stdin(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def test_a_text_gives_a_relation_with_the_default_model(run: Run, loaded: dict[str, Any], tmp_path: Path) -> None:
    found = run("extract", "--text", TEXT, *EVERY)
    assert found.code == 0, found.err
    (relation,) = found.json()["relations"]
    assert relation["sentence"] == [0, len(TEXT)]
    assert loaded["path"] == tmp_path / "shipped/chemprot"
    assert "model: toy, which relates CHEMICAL and GENE" in found.err
    assert "1 document, 1 pair, 1 relation -> stdout" in found.err
    table = run("extract", "--text", TEXT, *EVERY, "--to", "table")
    assert "[Aspirin] inhibits [COX-2] in human platelets." in table.out


def test_a_document_of_many_pairs_says_how_many_are_scored(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "WINDOW_STEPS", 100)
    monkeypatch.setattr(standing, "_SECONDS_BETWEEN_LINES", 0.0)
    words = "Aspirin COX-2 " * 6
    entities = [
        {"id": f"T{n}", "type": ("CHEMICAL", "GENE")[n % 2], "start": at, "end": at + (7, 5)[n % 2]}
        for n, at in enumerate(at for at in range(len(words)) if words[at] in "AC")
    ]
    (tmp_path / "many.jsonl").write_text(json.dumps({"id": "many", "text": words, "entities": entities}) + "\n")
    found = run("extract", "many.jsonl", "-o", "out.jsonl")
    assert found.code == 0, found.err
    assert "document many: " in found.err
    assert "of 36 pairs are scored" in found.err


def test_on_a_terminal_it_is_a_table(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("classifier.commands.extract_options.sys.stdout.isatty", lambda: True)
    assert "│" in run("extract", "--text", TEXT, *EVERY).out
    assert run("extract", "--text", TEXT, *EVERY, "--json").json()["id"] == "text"


def test_standard_input_and_files_of_any_kind(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(monkeypatch, f"{TEXT}\nNothing here.\n")
    found = run("extract", "-", "--lines", *EVERY)
    ids = [(d["id"], len(d["relations"])) for d in map(json.loads, found.out.splitlines())]
    assert ids == [("stdin:1", 1), ("stdin:2", 0)]
    assert "without a relation: 1 document, no mentions" in found.err
    (tmp_path / "a.txt").write_text(TEXT)
    (tmp_path / "b.csv").write_text(f"key,body\nk1,{TEXT}\nk2,\n")
    bad = run("extract", "b.csv", "--text-column", "body", "--id-column", "key", "-o", "out.html", "--json")
    assert bad.code == 3
    assert bad.json()["documents"] == 2
    assert "b.csv, line 3: document 'k2': there is no text in it." in bad.err
    assert (tmp_path / "out.html").read_text().startswith("<!doctype html>")
    assert run("extract", "a.txt", "-o", "-", "--to", "tsv", *EVERY).out.splitlines()[1].startswith("a\tC0\t")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ((), 2, "nothing to read was given"),
        (("-", "-"), 2, "named twice"),
        (("--text", " "), 4, "there is no text in it"),
        (("--text", TEXT, "--tag", "perhaps"), 2, "missing, always, never"),
        (("--text", TEXT, "--to", "tabel"), 2, "Did you mean 'table'"),
        (("--text", TEXT, "--model", "chemprt"), 4, "Did you mean 'chemprot'"),
        (("--text", TEXT, "--types", "X"), 2, "NAME=TYPE"),
        (("ids.txt",), 4, "text is needed"),
        (("paper.pdf",), 4, "pdftotext"),
    ],
)
def test_what_cannot_be_done_is_told(run: Run, tmp_path: Path, words: tuple[str, ...], code: int, says: str) -> None:
    (tmp_path / "ids.txt").write_text("123\n456\n")
    (tmp_path / "paper.pdf").write_bytes(b"%PDF-1.7\n")
    found = run("extract", *words)
    assert (found.code, found.out) == (code, "")
    assert says in found.err


def test_what_has_no_room_or_is_not_read_is_said(run: Run, tmp_path: Path) -> None:
    article = (
        f"<article><front><article-meta><article-id>7</article-id></article-meta></front><body><p>{TEXT}</p></body>"
    )
    (tmp_path / "a.xml").write_text(f"{article}</article>".replace("<article-id>", '<article-id pub-id-type="pmid">'))
    found = run("extract", "a.xml", "-o", "out.pubtator", "--explain", "--tag", "never", *EVERY)
    assert found.code == 0, found.err
    assert "jats: the cells of tables, formulas, references" in found.err
    assert "pubtator has no room for what --explain adds; these have: table, jsonl" in found.err
    assert "no mentions; --tag missing would look for them" in found.err
    assert (tmp_path / "out.pubtator").read_text().startswith("7|t|Aspirin")


def test_models_are_listed_and_shown(run: Run, tmp_path: Path) -> None:
    (tmp_path / "shipped/chemprot/README.md").write_text("# The [card]\n")
    assert "chemprot (default)" in run("models", "ls").out
    assert run("models", "ls", "--json").json()[0]["labels"][1:] == [
        "CPR:4 down-regulation (downregulator, inhibitor, indirect downregulator)"
    ]
    assert "# The [card]" in run("models", "show", "chemprot").out
    assert run("models", "show", "chemprt").code == 4
