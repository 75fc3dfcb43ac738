"""The commands of ``cli store`` on a small store."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from featstore.stores import create_store, list_sets

Run = Callable[..., Any]


@pytest.fixture
def corpus(run: Run, pairs: Callable[[Path], Path], tmp_path: Path) -> str:
    """A corpus whose GloVe vectors are in ``features``."""
    spec = f"jsonl:{pairs(tmp_path / 'pairs.jsonl')}"
    assert run("featurize", "--encoders", "glove", "--corpus", spec, "--dtype", "float32").code == 0
    return spec


def test_verify_finds_damage_and_repair_mends_it(run: Run, corpus: str, tmp_path: Path) -> None:
    assert run("store", "verify").code == 0
    (shard,) = tmp_path.glob("features/*/shards/*.h5")
    raw = bytearray(shard.read_bytes())
    raw[len(raw) // 2] ^= 16
    shard.write_bytes(raw)
    damaged = run("store", "verify", "glove")
    assert damaged.code == 5
    assert shard.stem in damaged.out
    dry = run("store", "repair", "glove", "--corpus", corpus, "--dry-run", "--json").json()
    assert len(dry["repair"]["lost"]) > 0
    assert run("store", "verify").code == 5
    mended = run("store", "repair", "glove", "--corpus", corpus, "--json").json()
    assert mended["encoded"] == len(dry["repair"]["lost"])
    assert mended["elsewhere"] == 0
    assert run("store", "verify").code == 0
    assert (
        run("featurize", "--encoders", "glove", "--corpus", corpus, "--dtype", "float32", "--json").json()[0]["encoded"]
        == 0
    )


def test_repair_refuses_another_encoder(run: Run, corpus: str, tmp_path: Path) -> None:
    (tmp_path / "glove.tiny.txt").write_text("inhibits 1 0\n")
    refused = run("store", "repair", "glove", "--corpus", corpus, "--encoder", f"glove:{tmp_path}/glove.tiny.txt")
    assert refused.code == 5
    assert "name the encoder that made it" in refused.err


def test_explain_says_which_fact_differs(run: Run, corpus: str, tmp_path: Path) -> None:
    (tmp_path / "glove.tiny.txt").write_text("inhibits 1 0\n")
    words = ("store", "explain", "--corpus", corpus, "--encoders")
    assert run(*words, "glove", "--json").json()[0]["verdict"] == "hit"
    stale = run(*words, f"glove:{tmp_path}/glove.tiny.txt", "--json").json()[0]
    assert stale["verdict"] == "stale"
    assert any("vectors" in d["fact"] or "weights" in d["fact"] for d in stale["sets"][0]["differences"])
    assert "miss" in run(*words, "glove", "--store", "elsewhere").out


@pytest.mark.parametrize("kind", ["converted", "view"])
def test_every_command_takes_a_converted_set_and_a_view(run: Run, corpus: str, kind: str) -> None:
    """Of several sets of one encoder, each message says what to type, and that works."""
    if kind == "view":
        target = run("store", "view", "glove", "--dims", "5", "--json").json()["target"]
        name = "glove-pca5"
    else:
        target = run("store", "convert", "glove", "--backend", "zarr", "--json").json()["target"]
        for words in (("export", "glove", "-o", "b.tar"), ("repair", "glove"), ("inspect", "glove")):
            refused = run("store", *words)
            assert (refused.code, Path(target).name in refused.err) == (2, True)
        name = Path(target).name
    assert run("store", "info", name, "--json").json()[0]["path"] == target
    assert run("store", "export", name, "-o", "b.tar").code == 0
    assert run("store", "compact", name).code == 0
    assert run("store", "inspect", name, "--corpus", corpus, "--json").json()["stored"]["whole"] is True
    file = max((p for p in Path(target, "shards").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    raw = file.read_bytes()
    file.write_bytes(raw[: len(raw) // 2] + bytes(8) + raw[len(raw) // 2 + 8 :])
    damaged = run("store", "verify", name)
    assert (damaged.code, f"cli store repair {Path(target).name}" in damaged.err) == (5, True)
    assert run("store", "repair", Path(target).name, "--corpus", corpus, "--json").json()["elsewhere"] == 0
    assert run("store", "verify", name).code == 0
    explained = run("store", "explain", "--encoders", "glove-pca5" if kind == "view" else "glove", "--corpus", corpus)
    assert explained.out.partition(": ")[2].startswith("hit")
    refused = run("featurize", "--encoders", "glove-pca5", "--corpus", corpus)
    assert (refused.code, "is a view" in refused.err) == (2, True)


def test_convert_compact_export_import_inspect_du_gc(run: Run, corpus: str, tmp_path: Path) -> None:
    (info,) = list_sets("features")
    create_store(
        "features", replace(info.meta, backend="zarr", dtype="float16")
    ).close()  # as a conversion leaves that had no room
    assert run("store", "convert", "glove", "--backend", "zarr", "--dtype", "float16").code == 0
    assert {s["sentences"] for s in run("store", "ls", "--json").json()} == {60}
    assert {s["meta"]["backend"] for s in run("store", "ls", "--json").json()} == {"hdf5", "zarr"}
    ambiguous = run("store", "export", "glove", "-o", "b.tar")
    assert ambiguous.code == 2
    assert "several sets" in ambiguous.err
    assert run("store", "convert", "glove", "--backend", "zarr", "--dtype", "float16").code == 0
    for folder in tmp_path.glob("features/*zarr"):
        folder.rename(tmp_path / "aside")
    assert run("store", "compact", "glove").code == 0
    assert run("store", "view", "glove", "--dims", "5", "--json").json()["name"] == "glove-pca5"
    assert run("store", "view", "glove", "--dims", "500").code == 2
    assert run("store", "export", "glove", "-o", "b.tar").code == 0
    assert run("store", "import", "b.tar", "--store", "copy").code == 0
    assert run("store", "ls", "--store", "copy", "--json").json()[0]["sentences"] == 60
    view = run("store", "inspect", "glove", "--corpus", corpus, "--id", "3", "--json").json()
    assert len(view["tokens"]) == len(view["stored"]["norms"])
    assert run("store", "inspect", "glove", "--corpus", corpus, "--id", "nobody").code == 2
    assert run("store", "du", "--json").json()[0]["sentences"] == 60
    nothing = run("store", "gc", "--unreferenced", "--yes")
    assert nothing.code == 2, "without a run everything would go"
    assert "--runs" in nothing.err
    short = ("--max-epochs", "1", "--hidden", "4", "--runs", "elsewhere/mine")
    assert run("train", "--features", "glove-pca5", "--corpus", corpus, *short).code == 0
    wanted = run("store", "gc", "--unreferenced", "--json", "--runs", "elsewhere")
    assert [Path(s["path"]).name[:6] for s in wanted.json()["removed"]] == ["glove-"]
    assert "elsewhere/mine/" in wanted.err, "the runs that were counted are told"
    assert len(run("store", "ls", "--json").json()) == 2
    assert run("store", "gc", "--unreferenced", "--yes", "--runs", "elsewhere").code == 0
    assert [s["meta"]["name"] for s in run("store", "ls", "--json").json()] == ["glove-pca5"]


SLOW_TOY = """
from pathlib import Path
import toy_encoder


class SlowToy(toy_encoder.ToyEncoder):
    calls = 0

    def encode(self, batch):
        self.calls += 1
        if self.calls == 8:  # four calls are the probe of the speed
            Path("under way").touch()
        return super().encode(batch)


def load(path, *, device, precision):
    return SlowToy(0, pause=0.2)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_so_and_goes_on_later(tmp_path: Path, how: signal.Signals) -> None:
    toys = Path(__file__).resolve().parents[1] / "featurize"
    (tmp_path / "sitecustomize.py").write_text(
        "from featstore.encoders import ENCODERS\nENCODERS['toy'] = 'slow_toy:load'\n"
        "import featstore.featurize.producer as p\np.BATCH_TOKENS = 64\n"
    )
    (tmp_path / "slow_toy.py").write_text(SLOW_TOY)
    environment = {**os.environ, "PYTHONPATH": f"{toys.parents[1]}:{tmp_path}:{toys}"}
    command = [sys.executable, "-m", "cli", "featurize", "--encoders", "toy"]
    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a background job may ignore it, and pass that on
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    deadline = time.monotonic() + 120
    while not (tmp_path / "under way").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(how)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "goes on from there" in said
    from featstore.stores import list_sets

    (kept,) = list_sets(tmp_path / "features")
    assert 0 < kept.sentences < 800
