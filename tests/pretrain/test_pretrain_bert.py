"""Hidden words: what is hidden, the rows that are read, and a checkpoint that transformers reads as we wrote it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toy_checkpoint import write_checkpoint

from featstore.encoders import load_encoder
from featstore.errors import DataError, MismatchError, MissingFileError, UsageError
from featstore.pretrain import bert
from featstore.pretrain.bert import PIECES, BERTConfig, pretrain_bert
from featstore.pretrain.masked import MaskedNetwork, hide
from featstore.pretrain.parallel import Group, ParallelJob
from featstore.pretrain.schedule import PretrainProgress, Schedule
from featstore.pretrain.word_pieces import PieceRows, read_pieces, write_pieces

SCHEDULE = Schedule(steps=6, warmup=2, evaluate_every=3, checkpoint_every=2, learning_rate=1e-2)
BEFORE, AFTER = 2, 3
STREAMS = st.lists(st.tuples(st.integers(4, 30), st.booleans()), min_size=1, max_size=60).map(
    lambda pieces: np.array([2 * piece + begins for piece, begins in pieces], np.uint32)
)


def rows_of(stream: Any, length: int = 9) -> PieceRows:
    return PieceRows(stream, (BEFORE,), (AFTER,), length)


@given(STREAMS, st.integers(3, 12))
def test_rows_hold_the_whole_text_in_order(stream: Any, length: int) -> None:
    rows = rows_of(stream, length)
    pieces, words = rows.take(np.arange(len(rows)))
    assert pieces.shape == words.shape == (len(rows), length)
    assert (pieces[:, 0] == BEFORE).all()
    assert (pieces[:, -1] == AFTER).all()
    assert (words[:, [0, -1]] == -1).all()
    text = pieces[:, 1:-1].ravel()
    assert text[: len(stream)].tolist() == (stream >> 1).tolist()
    assert text[len(stream) :].tolist() == (np.resize(stream, len(text))[len(stream) :] >> 1).tolist()
    begins = np.diff(words[:, 1:-1], axis=1).astype(bool)
    assert begins.ravel().tolist() == (np.resize(stream, len(text)).reshape(len(rows), -1)[:, 1:] & 1).ravel().tolist()


@given(STREAMS, st.floats(0.01, 0.99), st.integers(0, 99))
def test_whole_words_are_hidden_and_nothing_else_changes(stream: Any, share: float, seed: int) -> None:
    pieces, words = rows_of(stream).take(np.arange(len(rows_of(stream))))
    shown, targets = hide(pieces, words, share, 1, 31, np.random.default_rng(seed))
    hidden = targets != -100
    assert hidden.any()
    assert (targets[hidden] == pieces[hidden]).all()
    assert (shown[~hidden] == pieces[~hidden]).all()
    assert not hidden[words == -1].any()
    for row in range(len(pieces)):
        for word in set(words[row].tolist()) - {-1}:
            assert len(set(hidden[row, words[row] == word].tolist())) == 1


def test_the_shares_are_those_of_the_paper() -> None:
    rows = np.full((200, 500), 7)
    words = np.tile(np.arange(500), (200, 1))
    shown, targets = hide(rows, words, 0.15, 1, 1000, np.random.default_rng(0))
    hidden = targets != -100
    assert hidden.mean() == pytest.approx(0.15, abs=0.005)
    assert (shown[hidden] == 1).mean() == pytest.approx(0.8, abs=0.01)
    assert (shown[hidden] == 7).mean() == pytest.approx(0.1, abs=0.01)


def test_pieces_are_written_once_for_a_text(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(write_checkpoint(tmp_path / "tiny"))
    path = tmp_path / PIECES
    write_pieces(path, {"text": 1}, ["gene0 inhibits", "drug"], tokenizer, 3)
    number = {piece: tokenizer.token_to_id(piece) for piece in ("gene", "##0", "inhibits", "drug")}
    expected = [2 * number["gene"] + 1, 2 * number["##0"], 2 * number["inhibits"] + 1, 7, 2 * number["drug"] + 1, 7]
    assert read_pieces(path).tolist() == expected
    write_pieces(path, {"text": 1}, ["drug"], tokenizer, 3)
    assert read_pieces(path).tolist() == expected
    write_pieces(path, {"text": 2}, ["drug"], tokenizer, 3)
    assert read_pieces(path).tolist() == expected[4:]
    write_pieces(path, {"text": 3}, [], tokenizer, 3)
    with pytest.raises(DataError, match="holds no word pieces"):
        read_pieces(path)


def tokenizer_of(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder).backend_tokenizer


def test_the_loss_is_that_of_transformers() -> None:
    from transformers import BertConfig, BertForMaskedLM

    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    model = BertForMaskedLM(BertConfig(vocab_size=31, **shape)).eval()
    pieces, words = rows_of(np.arange(9, 61, dtype=np.uint32)).take(np.arange(4))
    shown, targets = map(torch.from_numpy, hide(pieces, words, 0.4, 1, 31, np.random.default_rng(1)))
    theirs = model(input_ids=shown, labels=targets).loss
    torch.testing.assert_close(MaskedNetwork(model, "float32")(shown, targets), theirs)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "a.txt"
    lines = [f"the drug{i % 3} inhibits gene{i % 2} in cells with compound{i % 3} {i}." for i in range(400)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train here: a process of its own would spend seconds on imports. ``cli pretrain`` is tested with processes."""

    def run_here(jobs: Sequence[ParallelJob], report: Callable[[PretrainProgress], None] | None) -> None:
        for job in jobs:
            job.function(*job.arguments, Group(), report)

    monkeypatch.setattr(bert, "run_jobs", run_here)


def config(text: Path, out: Path, **changes: object) -> BERTConfig:
    start = out.parent / "tiny"
    if not start.exists():
        write_checkpoint(start)
    fixed: dict[str, Any] = {"schedule": SCHEDULE, "held_out_chars": 300, "dtype": "float32", "precision": "float32"}
    small: dict[str, Any] = {"start": start, "text": (text,), "out": out, "length": 16, "tokens": 64}
    return BERTConfig(**{**small, **fixed, **changes})


def test_what_is_trained_is_an_encoder_and_a_start(text: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForMaskedLM

    seen: list[PretrainProgress] = []
    chosen = config(text, tmp_path / "out", dropout=0.1)
    result = pretrain_bert(chosen, seen.append)
    log = result["log"]
    assert log[-1]["held_out"] < log[0]["held_out"]
    assert {p.name for p in seen} == {"bert"}
    assert result["encoder"] == f"bert:{chosen.out}"
    card = (chosen.out / "README.md").read_text()
    assert "| start | tiny |" in card
    assert "a.txt" in card

    ours, before = (load_encoder(f"bert:{folder}") for folder in (chosen.out, chosen.start))
    assert ours.identity != before.identity
    changed = [
        np.abs(a - b).max() for a, b in zip(*(e.encode([["gene", "inhibits"]]) for e in (ours, before)), strict=True)
    ]
    assert max(changed) > 0.01
    model, info = AutoModelForMaskedLM.from_pretrained(chosen.out, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert model.config.hidden_dropout_prob == 0.1 == model.config.attention_probs_dropout_prob

    again = pretrain_bert(
        config(text, tmp_path / "more", start=chosen.out, schedule=replace(SCHEDULE, steps=1, learning_rate=0.0))
    )
    best = min(entry["held_out"] for entry in log)
    assert again["log"][-1]["held_out"] == pytest.approx(best, rel=1e-4)  # the output layer was kept too


def test_what_cannot_be_trained(text: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="name another folder"):
        config(text, out.parent / "tiny")
    with pytest.raises(UsageError, match="no room for a row of 65"):
        config(text, out, length=65)
    with pytest.raises(UsageError, match="reads 64 word pieces at a time"):
        pretrain_bert(config(text, out, length=65, tokens=128))
    with pytest.raises(UsageError, match="have no room for text"):
        pretrain_bert(config(text, out, length=2))
    with pytest.raises(MissingFileError, match=r"config\.json does not exist"):
        pretrain_bert(config(text, out, start=tmp_path))
    pretrain_bert(config(text, out))
    with pytest.raises(MismatchError, match=r"share is 0\.15 there and 0\.2 here"):
        pretrain_bert(config(text, out, share=0.2))
    (tmp_path / "tiny" / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(DataError, match="not a checkpoint that transformers can load"):
        pretrain_bert(config(text, tmp_path / "new"))
