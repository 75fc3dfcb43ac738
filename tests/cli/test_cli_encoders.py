"""The options that say how encoders run, and what the command line says of sentences that cannot be encoded."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_checkpoint import write_checkpoint

from featstore.encoders import ENCODERS
from featstore.encoders.charlm import CharLM, CharLMConfig
from featstore.encoders.charlm_file import save_charlm

Run = Callable[..., Any]
Pairs = Callable[[Path], Path]

TOY = """
from toy_encoder import ToyEncoder


def load(path, *, device, precision):
    return ToyEncoder(0, too_large="AKT7")
"""


@pytest.fixture
def cse(tmp_path: Path) -> str:
    for direction in ("forward", "backward"):
        config = CharLMConfig(
            hidden_size=32,
            nlayers=1,
            embedding_size=8,
            nout=None,
            is_forward=direction == "forward",
            document_delimiter="\n",
            dropout=0.0,
            items=("<unk>", *"\n abcdefghijklmnopqrstuvwxyz<>/"),
        )
        generator = torch.Generator().manual_seed(1)
        weights = {name: torch.randn(shape, generator=generator) * 0.3 for name, shape in config.shapes().items()}
        save_charlm(tmp_path / "cse" / f"{direction}.safetensors", CharLM(config, weights))
    return f"cse:{tmp_path / 'cse'}"


def test_precision_is_a_part_of_the_identity_everywhere(run: Run, pairs: Pairs, cse: str, tmp_path: Path) -> None:
    corpus = ("--corpus", f"jsonl:{pairs(tmp_path / 'pairs.jsonl')}")
    low = ("--precision", "bfloat16")
    done = run("featurize", "--encoders", cse, *corpus, *low)
    assert done.code == 0, done.err
    assert "cse: 1 process of 1 thread (a probe foretells" in done.err
    said = run("store", "explain", "--encoders", cse, *corpus, "--json").json()
    (difference,) = said[0]["sets"][0]["differences"]
    assert (difference["fact"], difference["wanted"], difference["found"]) == ("precision", '"float32"', '"bfloat16"')
    assert run("store", "explain", "--encoders", cse, *corpus, *low, "--json").json()[0]["verdict"] == "hit"
    assert run("store", "repair", "cse", "--encoder", cse, *corpus).code == 5
    assert run("store", "repair", "cse", "--encoder", cse, *corpus, *low).code == 0
    short = ("--max-epochs", "1", "--hidden", "8", "--run", "r")
    assert run("train", "--features", "cse", *corpus, *short).code == 0
    extract = ("extract", str(tmp_path / "pairs.jsonl"), "-o", "out.jsonl", "--run", "r", "--encoders", cse)
    done = run(*extract)
    assert done.code == 0, "extract takes the precision that training had"


def test_layers_of_bert_are_stored_and_mixed_when_they_are_read(run: Run, pairs: Pairs, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    folder = write_checkpoint(tmp_path / "tiny")
    corpus = ("--corpus", f"jsonl:{pairs(tmp_path / 'pairs.jsonl')}")
    done = run("featurize", "--encoders", f"bert[0,2]:{folder},bert[all]:{folder}", *corpus, "--json").json()
    assert [each["encoder"] for each in done] == ["bert", "bert"]
    done = run("train", "--features", "bert", *corpus)
    assert done.code == 2
    assert "sets of several 'bert' encoders" in done.err
    short = ("--max-epochs", "1", "--hidden", "8", "--run", "r")
    done = run("train", "--features", "bert[2,1]", *corpus, *short)  # layer 1 is in one of the two sets only
    assert done.code == 0, done.err
    (feature,) = json.loads((tmp_path / "runs" / "r" / "fold-1" / "run.json").read_text())["features"]
    assert (feature["layer"], feature["layers"], feature["dim"]) == ("2,1", 2, 16)
    extract = ("extract", str(tmp_path / "pairs.jsonl"), "--run", "r", "--encoders")
    done = run(*extract, f"bert:{folder}", "-o", "out.jsonl")
    assert done.code == 0, f"the model knows which layers it reads: {done.err}"
    assert run("bundle", "-o", "m", "--run", "r", "--encoders", f"bert:{folder}").code == 0
    assert run("extract", str(tmp_path / "pairs.jsonl"), "--model", "m", "-o", "again.jsonl").code == 0
    assert run(*extract, f"bert[2]:{folder}", "-o", "-").code == 5


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--encoders", "bert[2,a]:."], "are not numbers"),
        (["--encoders", "elmo[top]"], "chosen with --features"),
        (["--encoders", "glove[0]"], "'glove' always stores all that it has"),
        (["--encoders", "bert[2,-1]:tiny"], "name one twice"),
        (["--encoders", "bert[3]:tiny"], "choose from 0 (the embeddings) to 2"),
        (["--encoders", "bert[2"], "does not name an encoder"),
    ],
)
def test_layers_that_cannot_be_stored_are_refused(run: Run, tmp_path: Path, words: list[str], says: str) -> None:
    if "tiny" in words[1]:
        pytest.importorskip("transformers")
        write_checkpoint(tmp_path / "tiny")
    result = run("featurize", *words)
    assert result.code == 2
    assert says in result.err
    assert not (tmp_path / "features").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--precision", "float8"], "float32, bfloat16"),
        (["--device", "abacus"], "choose cpu, or cuda"),
        (["--workers", "0"], "'0' was given"),
    ],
)
def test_what_no_encoder_can_do_is_refused(run: Run, cse: str, tmp_path: Path, words: list[str], says: str) -> None:
    result = run("featurize", "--encoders", cse, *words)
    assert result.code == 2
    assert says in result.err
    assert not (tmp_path / "features").exists()


def test_a_sentence_that_memory_has_no_room_for_is_named(
    run: Run, pairs: Pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "small_toy.py").write_text(TOY)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[1] / "featurize"))
    monkeypatch.setitem(ENCODERS, "toy", "small_toy:load")
    corpus = f"jsonl:{pairs(tmp_path / 'pairs.jsonl')}"
    result = run("featurize", "--encoders", "toy", "--corpus", corpus)
    assert result.code == 3
    assert " tokens, '<chem> Compound7 </chem> was measured" in result.err
    assert "the command again" in result.err
    again = run("featurize", "--encoders", "toy", "--corpus", corpus, "--json")
    assert again.code == 3
    (row,) = again.json()
    assert (row["stored"], row["encoded"], len(row["failed"])) == (59, 0, 1)
