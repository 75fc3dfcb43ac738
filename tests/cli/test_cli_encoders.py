"""The options that say how encoders run, and what the command line says of sentences that cannot be encoded."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

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
