"""The loop: a training that was cut off and goes on ends with the same bits; bad ends are clear."""

import json
import resource
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from featstore.encoders.bilm import BiLMConfig
from featstore.encoders.charlm import CharLMConfig
from featstore.errors import DataError, MismatchError, UsageError
from featstore.pretrain import loop
from featstore.pretrain.bilm import BiLMTask
from featstore.pretrain.charlm import CharLMTask, learn_characters
from featstore.pretrain.loop import CHECKPOINT, LOG, Task, train
from featstore.pretrain.masked import MaskedNetwork, MaskedTask
from featstore.pretrain.parallel import Group
from featstore.pretrain.schedule import PretrainProgress, Schedule
from featstore.pretrain.sentences import learn_words, pieces
from featstore.pretrain.text import TextSource
from featstore.pretrain.word_pieces import PieceRows

SCHEDULE = Schedule(warmup=2, evaluate_every=5, checkpoint_every=3, learning_rate=1e-2)
STEPS = 14


class Killed(Exception):
    """Stands for a kill at an arbitrary instant."""


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> TextSource:
    folder = tmp_path_factory.mktemp("text")
    genes = [f"G{k}" for k in range(110)]
    for name, verb in (("a.txt", "inhibits"), ("b.txt", "binds")):
        lines = [f"Drug {g} {verb} {genes[i % 109]} in cell {i % 9}. It does so." for i, g in enumerate(genes * 4)]
        (folder / name).write_text("\n".join(lines), encoding="utf-8")
    return TextSource((folder / "a.txt", folder / "b.txt"), held_out_chars=2000)


def charlm(source: TextSource, hidden: int = 24) -> CharLMTask:
    torch.manual_seed(1)
    config = CharLMConfig(
        hidden_size=hidden,
        nlayers=2,
        embedding_size=6,
        nout=None,
        is_forward=False,
        document_delimiter="\n",
        dropout=0.2,
        items=learn_characters(source.one_pass(), 2)[0],
    )
    return CharLMTask(config, source, streams=16, length=24)


def bilm(source: TextSource) -> BiLMTask:
    torch.manual_seed(1)
    config = BiLMConfig(
        char_dim=4,
        filters=((1, 4), (3, 6)),
        n_highway=1,
        activation="relu",
        max_characters=12,
        dim=8,
        projection_dim=6,
        n_layers=2,
        cell_clip=0.5,
        proj_clip=0.5,
        use_skip_connections=True,
    )
    words = learn_words(pieces(source.one_pass(), 20), 500, 1)[0]
    return BiLMTask(config, words, source, dropout=0.2, tokens=64, max_tokens=20)


def masked(source: TextSource, group: Group | None = None) -> MaskedTask:
    from transformers import BertConfig, BertForMaskedLM

    torch.manual_seed(1)
    words = learn_words(pieces(source.one_pass(), 20), 500, 1)[0]
    number = {word: 2 * i + 1 for i, word in enumerate(words)}

    def rows(lines: Iterable[str]) -> PieceRows:
        stream = [number[word] for sentence in pieces(lines, 20) for word in sentence]
        return PieceRows(np.array(stream, np.uint32), (1,), (2,), 12)

    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    model = BertForMaskedLM(BertConfig(vocab_size=len(words), **shape))
    network, held_out = MaskedNetwork(model, "float32"), rows(source.held_out())
    shares: dict[str, Any] = {"mask": 0, "share": 0.3, "batch": 8, "seed": 3, "told": {"words": len(words)}}
    return MaskedTask(network, rows(source.one_pass()), held_out, group=group, **shares)


Make = Callable[[TextSource], CharLMTask | BiLMTask | MaskedTask]


@pytest.mark.parametrize("make", [charlm, bilm, masked])
@pytest.mark.parametrize("instant", [1, 4, 9, 10])
def test_cut_off_and_resumed_is_bit_equal(
    make: Make, instant: int, source: TextSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = make(source)
    log = train(whole, SCHEDULE, STEPS, tmp_path / "whole")
    broken = make(source)
    take = broken.loss

    def fail_in_the_middle() -> object:
        if broken.units >= instant * whole.units / STEPS:
            raise Killed
        return take()

    monkeypatch.setattr(broken, "loss", fail_in_the_middle)
    with pytest.raises(Killed):
        train(broken, SCHEDULE, STEPS, tmp_path / "cut")
    torch.rand(5)  # whatever happened to the random state meanwhile
    resumed = make(source)
    again = train(resumed, SCHEDULE, STEPS, tmp_path / "cut")
    for (name, expected), got in zip(
        whole.model.state_dict().items(), resumed.model.state_dict().values(), strict=True
    ):
        assert torch.equal(expected, got), name
    timeless = [[{k: v for k, v in e.items() if k != "units_per_second"} for e in entries] for entries in (log, again)]
    assert timeless[0] == timeless[1]
    assert [json.loads(line)["step"] for line in (tmp_path / "cut" / LOG).read_text().splitlines()] == [5, 10, 14]


@pytest.mark.parametrize("make", [charlm, bilm, masked])
def test_training_learns_and_leaves_the_best_weights(make: Make, source: TextSource, tmp_path: Path) -> None:
    task, seen = make(source), list[PretrainProgress]()
    log = train(task, replace(SCHEDULE, evaluate_every=40), 160, tmp_path, seen.append)
    assert log[-1]["held_out"] < 0.8 * log[0]["held_out"]
    assert seen[-1].step == seen[-1].steps == 160
    assert seen[-1].held_out == log[-1]["held_out"]
    assert log[-1]["measure"] == task.measure
    best = min(entry["held_out"] for entry in log)
    now = task.held_out()
    assert best == pytest.approx(now / 0.6931471805599453 if task.measure != "perplexity" else 2.718281828459045**now)


def test_plateau_halves_the_rate(source: TextSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = charlm(source)
    monkeypatch.setattr(task, "held_out", lambda: 1.0)  # never falls
    log = train(task, replace(SCHEDULE, anneal="plateau", patience=1, warmup=0, evaluate_every=1), 6, tmp_path)
    assert [entry["learning_rate"] for entry in log] == pytest.approx([1e-2, 1e-2, 1e-2, 5e-3, 5e-3, 2.5e-3])


def test_a_checkpoint_of_another_model_is_refused(source: TextSource, tmp_path: Path) -> None:
    train(charlm(source), SCHEDULE, 3, tmp_path)
    before = (tmp_path / CHECKPOINT).read_bytes()
    with pytest.raises(MismatchError, match="hidden_size is 24 there and 16 here"):
        train(charlm(source, hidden=16), SCHEDULE, 3, tmp_path)
    with pytest.raises(MismatchError, match="seed is 1 there and 2 here"):
        train(charlm(source), replace(SCHEDULE, seed=2), 3, tmp_path)
    with pytest.raises(MismatchError, match="model is charlm there and bilm here"):
        train(bilm(source), SCHEDULE, 3, tmp_path)
    assert (tmp_path / CHECKPOINT).read_bytes() == before


def test_a_damaged_checkpoint_is_refused(source: TextSource, tmp_path: Path) -> None:
    train(charlm(source), SCHEDULE, 3, tmp_path)
    whole = (tmp_path / CHECKPOINT).read_bytes()
    for data in (b"", whole[:1000], b"no checkpoint at all"):
        (tmp_path / CHECKPOINT).write_bytes(data)
        with pytest.raises(DataError, match="damaged"):
            train(charlm(source), SCHEDULE, 3, tmp_path)


def test_a_loss_that_is_no_number_ends_the_training_and_spares_the_checkpoint(
    source: TextSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task: Task = charlm(source)
    take, count = task.loss, iter(range(99))
    monkeypatch.setattr(task, "loss", lambda: take() * (float("nan") if next(count) == 4 else 1.0))
    with pytest.raises(DataError, match="at step 5; lower the learning rate"):
        train(task, SCHEDULE, STEPS, tmp_path)
    train(charlm(source), SCHEDULE, STEPS, tmp_path)  # goes on from step 3


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path: Path) -> None:
    """A child that may not write files beyond 100 kB: the large checkpoint fails as on a full disk."""
    code = """
import resource, sys, torch
from pathlib import Path
from featstore.errors import ResourceError
from featstore.pretrain.checkpoint import load_checkpoint, save_checkpoint
path = Path(sys.argv[1])
save_checkpoint(path, {"a": torch.arange(3)}, {"step": 1})
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    save_checkpoint(path, {"a": torch.zeros(1_000_000)}, {"step": 2})
except ResourceError as error:
    assert "no room to write" in str(error), error
else:
    raise SystemExit("no error")
tensors, facts = load_checkpoint(path)
assert facts == {"step": 1} and tensors["a"].tolist() == [0, 1, 2]
"""
    assert resource.RLIMIT_FSIZE is not None
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "c.safetensors")], check=True, timeout=120)
    assert [path.name for path in tmp_path.iterdir()] == ["c.safetensors"]


def test_schedules() -> None:
    schedule = Schedule(epochs=2.5, warmup=10, learning_rate=1.0)
    assert schedule.total(1000, 100) == 25
    assert replace(schedule, steps=7).total(1000, 100) == 7
    rates = [schedule.rate(step, step / 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] or max(rates) == rates[10]
    assert rates[-1] < 0.012
    with pytest.raises(UsageError, match="Did you mean 'cosine'"):
        Schedule(anneal="cosin")
    timed = Schedule(minutes=0.5)
    assert timed.total(1000, 100) is None
    assert [timed.done(7, None, seconds) for seconds in (0, 15, 30, 40)] == [0, 0.5, 1, 1]
    with pytest.raises(UsageError, match=r"given twice, as 3 steps and as 0\.5 minutes; give one of both"):
        Schedule(steps=3, minutes=0.5)


class Clock:
    """Stands for ``time``: each look at it finds a second gone by."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        self.now += 1
        return self.now


def test_a_training_that_has_a_time(source: TextSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends when its time is up, at the lowest rate; what it took before it was killed counts."""
    schedule = replace(SCHEDULE, minutes=0.5, checkpoint_every=3)
    monkeypatch.setattr(loop, "time", Clock())
    seen: list[PretrainProgress] = []
    whole = train(charlm(source), schedule, None, tmp_path / "whole", seen.append)
    assert [(entry["step"], entry["learning_rate"] < 2e-4) for entry in whole][-1] == (30, True)
    assert (seen[9].step, seen[9].steps) == (10, 30)
    assert seen[9].seconds_left == pytest.approx(20)
    assert seen[-1].step == seen[-1].steps == 30

    def kill(progress: PretrainProgress) -> None:
        if progress.step == 11:
            raise Killed

    with pytest.raises(Killed):
        train(charlm(source), schedule, None, tmp_path / "cut", kill)
    monkeypatch.setattr(loop, "time", Clock())
    rest = train(charlm(source), schedule, None, tmp_path / "cut", seen.append)
    assert rest[-1]["step"] == 30, "the checkpoint of step 9 has nine of the thirty seconds"
    assert rest[-1]["held_out"] == whole[-1]["held_out"]


def test_the_processes_of_a_group_read_other_rows(source: TextSource, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[list[int]] = []

    def take(_: PieceRows, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        taken.append(numbers.tolist())
        return np.full((len(numbers), 12), 3), np.tile(np.arange(12), (len(numbers), 1))

    monkeypatch.setattr(PieceRows, "take", take)
    for group in (Group(), Group(0, 2), Group(1, 2)):
        masked(source, group).loss()
    whole, even, odd = taken
    assert len(whole) == 8
    assert (whole[::2], whole[1::2]) == (even, odd)
