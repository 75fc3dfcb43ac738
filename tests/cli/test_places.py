"""Every place that a command reads or writes is checked before the work: one line, a documented exit code, no trace."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from commands import HOSTILE, Option, all_options, is_harmless
from toy_checkpoint import write_checkpoint

import cli
from classifier.systems.table import SYSTEMS, find_system
from classifier.training.config import TrainConfig

Run = Callable[..., Any]
GLOVE = ("--encoders", "glove")
# Each command as it works in the world below; a new command gets a line here.
WORKING: dict[str, tuple[str, ...]] = {
    "featurize": (*GLOVE, "--corpus", "jsonl:pairs.jsonl"),
    "train": ("--features", "glove", "--corpus", "jsonl:pairs.jsonl", "--max-epochs", "1", "--hidden", "4"),
    "eval": (),
    "ablate": ("--features", "glove", "--corpus", "jsonl:pairs.jsonl", "--max-epochs", "1", "--hidden", "4"),
    "extract": ("pairs.jsonl", "-o", "found.jsonl"),
    "join": ("found.jsonl",),
    "bundle": ("-o", "again"),
    "serve": ("--model", "model", "--port", "0"),
    "data check": ("jsonl:pairs.jsonl",),
    "data get": ("gad",),
    "store ls": (),
    "store info": ("glove",),
    "store du": (),
    "store inspect": ("glove", "--corpus", "jsonl:pairs.jsonl"),
    "store explain": (*GLOVE, "--corpus", "jsonl:pairs.jsonl"),
    "store verify": (),
    "store repair": ("glove", "--corpus", "jsonl:pairs.jsonl"),
    "store convert": ("glove", "--backend", "zarr"),
    "store view": ("glove", "--dims", "3"),
    "store compact": ("glove",),
    "store export": ("glove", "-o", "out.tar"),
    "store import": ("vectors.tar",),
    "store gc": ("--unreferenced",),
    "pretrain bert": ("--text", "text.txt", "--from", "tiny", "--out", "lm"),
    "pretrain cse": ("--text", "text.txt", "--out", "lm"),
    "pretrain elmo": ("--text", "text.txt", "--out", "lm"),
    "pretrain glove": ("--text", "text.txt", "--out", "lm"),
    "models ls": (),
    "models show": ("tagger",),
    "runs ls": (),
    "runs show": ("r",),
    "runs compare": ("r", "r"),
    "runs errors": ("r",),
    "entities featurize": GLOVE,
    "entities train": (),
    "entities filter": (),
    "entities eval": (),
    "entities tag": ("documents.txt", "-o", "found.jsonl"),
}
# What stands at each option's place. An option of type Path that is not named here reads a file.
WRITES_FILE = {"target", "predictions", "bundle of store export"}
FOLDERS = {"store", "to", "runs", "run", "out_folder", "model", "tagger", "target of bundle"}
SPECS = {"corpus": ("jsonl:{}", "chemprot:{}"), "corpora": ("files:{}",), "encoders": ("glove:{}",)}
SPECS |= {"encoder": ("cse:{}",), "source": ("{}",), "encoder of train": ("bert:{}",), "unlabelled": ("{}",)}
NO_PLACES = {"name", "names", "encoders of ablate"}


def names_of(option: Option) -> tuple[str, str]:
    """The option as one of its command, and as any command's."""
    return f"{option.name} of {' '.join(option.path)}", option.name


def working(option: Option) -> tuple[str, ...]:
    """The command with which an option works: some options of train are those of systems other than the head."""
    of_head = {each.name for each in fields(TrainConfig)}
    for name in SYSTEMS if option.path == ("train",) and option.name not in of_head else ():
        if option.name in {each.name for each in fields(find_system(name).options)}:
            return "--system", name, "--corpus", "jsonl:pairs.jsonl"
    return WORKING[" ".join(option.path)]


def kind_of(option: Option) -> str:
    for name in names_of(option):
        for kind, names in (("none", NO_PLACES), ("writes", WRITES_FILE), ("folder", FOLDERS), ("spec", set(SPECS))):
            if name in names:
                return kind
    return "reads" if issubclass(option.kind, Path) else "none"


PLACES = [(option, kind_of(option)) for option in all_options()]
PLACES = [(option, kind) for option, kind in PLACES if kind != "none"]
WRONG = {
    "writes": ("nowhere/file", "a-file/below", "a-folder"),
    "reads": ("nowhere", "a-file/below"),
    "folder": ("./a-file", "a-file/below"),
    "spec": ("nowhere", "a-file/below"),
}
CASES = [
    (option, form.format(place))
    for option, kind in PLACES
    for place in WRONG[kind]
    for form in next((SPECS[name] for name in names_of(option) if name in SPECS), ("{}",))
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, pairs: Callable[[Path], Path]) -> Path:
    """A folder in which the commands of WORKING find what they need."""
    folder = tmp_path_factory.mktemp("world")
    pairs(folder / "pairs.jsonl")
    (folder / "a-file").write_text("a file\n")
    (folder / "a-folder").mkdir()
    write_checkpoint(folder / "tiny")
    (folder / "text.txt").write_text("Drugs inhibit kinases.\n" * 200)
    (folder / "documents.txt").write_text("Aspirin inhibits COX-2.\n")
    corpus = ("--corpus", "jsonl:pairs.jsonl")
    for words in (
        ("featurize", *GLOVE, *corpus),
        ("train", "--features", "glove", *corpus, "--max-epochs", "1", "--hidden", "4", "--run", "r"),
        ("bundle", "-o", "model"),
        ("store", "export", "glove", "-o", "vectors.tar"),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            patch.setattr(sys, "argv", ["cli", *words])
            with pytest.raises(SystemExit) as left:
                cli.main()
        assert not left.value.code, words
    return folder


@pytest.fixture
def here(world: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run ``cli`` in the world."""
    monkeypatch.chdir(world)
    return run


def listing(folder: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_size for path in folder.rglob("*")}


def test_every_command_is_listed_here() -> None:
    assert {" ".join(option.path) for option in all_options()} <= set(WORKING)


@pytest.mark.parametrize(("option", "place"), CASES, ids=str)
def test_a_place_that_cannot_be_is_refused_before_the_work(here: Run, world: Path, option: Option, place: str) -> None:
    words = list(working(option)) if option.name != "config_file" else []
    if option.is_argument and words and not words[0].startswith("-"):
        del words[0]
    before = listing(world)
    done = here(*option.path, *words, *option.words(place))
    assert done.code in (2, 4, 5, 6), (done.code, done.err)
    assert "Traceback" not in done.err
    assert done.err.count("error:") == 1, done.err
    assert any(name in done.err for name in ("nowhere", "a-file", "a-folder")), "the place is named"
    assert done.out == ""
    assert listing(world) == before


@pytest.mark.parametrize(
    "words",
    [
        ("featurize", *WORKING["featurize"], "--store", "new/store"),
        ("train", *WORKING["train"], "--runs", "new/runs"),
        ("eval", "--predictions", "p.tsv"),
        ("ablate", *WORKING["ablate"], "--out", "new/report"),
        ("extract", "pairs.jsonl", "-o", "found.jsonl"),
        ("bundle", "-o", "new/model"),
        ("store", "export", "glove", "-o", "out.tar"),
        ("store", "import", "vectors.tar", "--store", "new/store"),
        ("pretrain", "glove", "--text", "text.txt", "--out", "new/lm"),
    ],
    ids=" ".join,
)
def test_a_place_without_permission_is_refused_before_the_work(
    here: Run, world: Path, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda _, mode: not mode & os.W_OK)  # root may write everywhere
    before = listing(world)
    done = here(*words)
    assert done.code == 6, done.err
    assert "no permission" in done.err
    assert listing(world) == before


def test_a_store_that_lacks_nothing_needs_no_permission(
    here: Run, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda _, mode: not mode & os.W_OK)  # root may write everywhere
    before = listing(world)
    done = here("featurize", *WORKING["featurize"], "--json")
    assert done.code == 0, done.err
    assert '"encoded": 0' in done.out
    lacking = here("featurize", *WORKING["featurize"], "--context", "sentence")
    assert lacking.code == 6, lacking.err
    assert "no permission" in lacking.err
    assert listing(world) == before


def test_a_data_directory_that_cannot_be(here: Run, world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(world / "a-file"))
    done = here("data", "get", "gad", "--from", "a-folder")
    assert done.code == 2
    assert "a-file" in done.err


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, 6), (errno.EACCES, 6), (errno.EIO, 6), (errno.ENOENT, 4), (errno.EISDIR, 2), (errno.ENOTDIR, 2)],
)
def test_what_the_system_refuses_on_the_way_is_one_line(
    here: Run, monkeypatch: pytest.MonkeyPatch, number: int, code: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number), "some/place")

    monkeypatch.setattr("featstore.stores.list_sets", refuse)
    done = here("store", "ls")
    assert done.code == code
    assert done.err.startswith(f"error: some/place: {os.strerror(number)}; ")
    assert done.err.count("\n") == 1


def test_a_reader_that_has_gone_ends_a_command_quietly(world: Path) -> None:
    for words in (["store", "ls"], ["store", "ls", "--json"], ["eval", "--predictions", "-"]):
        read, write = os.pipe()
        os.close(read)
        command = [sys.executable, "-m", "cli", *words]
        done = subprocess.run(command, cwd=world, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
        os.close(write)
        assert done.returncode == 141
        assert "error" not in done.stderr.lower()
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("option", [o for o in all_options() if o.kind in (int, float)], ids=str)
def test_a_number_out_of_range_is_refused_with_what_was_given(here: Run, world: Path, option: Option) -> None:
    before = listing(world)
    for value in ("-7", "nan", "inf") if option.kind is float else ("-7", "x"):
        done = here(*option.path, *working(option), *option.words(value))
        assert done.code == 2, (value, done.err)
        assert value in done.err
        assert done.out == ""
    assert listing(world) == before


@pytest.mark.parametrize(("option", "kind"), PLACES, ids=str)
def test_the_name_of_a_place_is_shown_and_not_sent(here: Run, option: Option, kind: str) -> None:
    words = list(WORKING[" ".join(option.path)]) if option.name != "config_file" else []
    if option.is_argument and words and not words[0].startswith("-"):
        del words[0]
    form = "jsonl:{}" if option.name == "corpus" else "glove:{}" if kind == "spec" else "{}"
    done = here(*option.path, *words, *option.words(form.format(f"nowhere/{HOSTILE}")))
    assert is_harmless(done.out + done.err), done
    assert done.err.count("\nerror:") + done.err.startswith("error:") <= 1
    assert all(not line.startswith("z") for line in done.err.splitlines()), "a message is one line"


@pytest.mark.parametrize("option", [o for o in all_options() if o.kind is str], ids=str)
def test_a_word_that_is_given_is_shown_and_not_sent(here: Run, option: Option) -> None:
    words = list(WORKING[" ".join(option.path)])
    if option.is_argument and words and not words[0].startswith("-"):
        del words[0]
    done = here(*option.path, *words, *option.words(HOSTILE))
    assert is_harmless(done.out + done.err), done
