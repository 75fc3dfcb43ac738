"""A head learns what a teacher says, in the share that is asked for, and refuses teachers that do not belong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from classifier.data.batch import Batch
from classifier.head.config import HeadConfig, InputConfig
from classifier.head.model import Head
from classifier.runs.config import RunConfig, run_name
from classifier.runs.folds import train_fold as train_head
from classifier.runs.prepare import Teacher
from classifier.systems.choice import run_config
from classifier.systems.folds import evaluate_fold, plan_fold, train_fold
from classifier.systems.table import SYSTEMS
from classifier.systems.teacher import teacher_of
from classifier.training.config import TrainConfig
from classifier.training.epoch import Epoch
from classifier.training.loop import loss_of
from classifier.training.resume import UNFINISHED
from featstore.corpora import CorpusChoice
from featstore.errors import MismatchError, MissingFileError, UsageError
from featstore.records import Corpus, Instance

Make = Callable[..., Corpus]
Store = Callable[[Corpus], Path]
HEAD = TrainConfig(features="glove", optimizer="adamw", lr=0.02, hidden=8, max_epochs=8, batch_size=8)


@pytest.fixture(autouse=True)
def words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SYSTEMS, "words", "toy_system:WORDS")


def choice_of(corpus: Corpus) -> CorpusChoice:
    return CorpusChoice(corpus.spec, corpus.indicators, corpus.context)


def contrary(instances: Sequence[Instance]) -> NDArray[np.float32]:
    """Be sure of the wrong label."""
    return np.array([[0.0, 1.0] if i.label == "neg" else [1.0, 0.0] for i in instances], dtype=np.float32)


@pytest.mark.parametrize("consistency", [0.0, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_loss_is_the_cross_entropy_with_the_targets(consistency: float, smoothing: float) -> None:
    torch.manual_seed(1)
    head = Head(HeadConfig((InputConfig(3),), labels=3, tags=1, hidden=4))
    config = TrainConfig(
        consistency=consistency, dropout=0.1, smoothing=smoothing
    )  # the head was built without dropout
    batch = Batch(
        rows=(torch.randn(4, 3),),
        index=torch.tensor([[0, -1, 1], [3, 2, 0]]),
        lengths=torch.tensor([3, 2]),
        mentions=torch.tensor([[0, 2], [1, 0]]),
        labels=torch.tensor([0, 2]),
        positions=np.arange(2),
        targets=torch.tensor([[0.75, 0.25, 0.0], [0.1, 0.2, 0.7]]),
    )
    logs = head(batch.rows, batch.index, batch.lengths).logits.log_softmax(1)
    assert batch.targets is not None
    evenly = smoothing * -logs.mean(1).mean()
    by_hand = (1 - smoothing) * -(batch.targets * logs).sum(1).mean() + evenly
    torch.testing.assert_close(loss_of(head, batch, config), by_hand)  # without dropout both passes agree
    plain = loss_of(head, replace(batch, targets=None), config)
    torch.testing.assert_close(plain, (1 - smoothing) * -logs[[0, 1], [0, 2]].mean() + evenly)


def test_the_share_decides_who_is_believed(make_corpus: Make, make_store: Store, tmp_path: Path) -> None:
    corpus = make_corpus("sentence")
    store, teacher = make_store(corpus), Teacher("contrary", contrary)
    dev_f1 = {}
    for share in (0.05, 1.0):
        config = RunConfig(choice_of(corpus), replace(HEAD, teacher="contrary", teacher_share=share))
        trained = train_head(corpus, store, config, 1, tmp_path / str(share), teacher=teacher)
        dev_f1[share] = trained.training.epochs[-1].dev_f1
    assert dev_f1[0.05] > 0.9
    assert dev_f1[1.0] < 0.1


def test_pairs_without_labels_are_learnt_from_the_teacher_alone(
    make_corpus: Make, make_store: Store, tmp_path: Path
) -> None:
    corpus, more = make_corpus("sentence", 18), make_corpus("sentence", 90)
    store = make_store(more)  # which holds the sentences of both
    bare = [replace(instance, id=f"bare {instance.id}", label=None, fold=None) for instance in more.instances[18:90]]
    truth = {instance.tokens: instance.label for instance in more.instances}

    def right(instances: Sequence[Instance]) -> NDArray[np.float32]:
        return np.array([[truth[i.tokens] == "neg", truth[i.tokens] == "pos"] for i in instances], dtype=np.float32)

    config = RunConfig(choice_of(corpus), replace(HEAD, teacher="right", teacher_share=0.1, max_epochs=4))
    loss, facts = {}, {}
    for name, teacher in (
        ("none", Teacher("a", right)),
        ("right", Teacher("b", right, bare)),
        ("wrong", Teacher("c", lambda instances: 1 - right(instances), bare)),
    ):
        facts[name] = train_head(corpus, store, config, 1, tmp_path / name, teacher=teacher).training
        loss[name] = facts[name].epochs[-1].dev_loss
    assert loss["right"] < loss["none"] < loss["wrong"]
    assert facts["right"].instances == replace(facts["none"].instances, unlabelled=len(bare))
    assert (facts["none"].teacher, facts["right"].teacher) == ("a", "b")


def test_any_run_can_teach(make_corpus: Make, make_store: Store, tmp_path: Path) -> None:
    corpus = make_corpus("sentence")
    store = make_store(corpus)
    train_fold(corpus, store, run_config(choice_of(corpus), "words", {"rounds": 1}), 1, tmp_path / "words")
    plain = RunConfig(choice_of(corpus), HEAD)
    taught = replace(plain, train=replace(HEAD, teacher=str(tmp_path / "words"), teacher_share=1.0))
    assert run_name(taught) != run_name(plain)
    assert plan_fold(corpus, store, taught, 1, tmp_path / "taught")
    train_fold(corpus, store, taught, 1, tmp_path / "taught")
    train_head(corpus, store, taught, 1, tmp_path / "again", teacher=teacher_of(taught, corpus, store, 1))
    train_fold(corpus, store, plain, 1, tmp_path / "plain")
    one, two, other = (
        (tmp_path / name / "fold-1" / "model.safetensors").read_bytes() for name in ("taught", "again", "plain")
    )
    assert one == two != other
    teacher = teacher_of(taught, corpus, store, 1)
    assert teacher is not None
    said = evaluate_fold(corpus, store, run_config(choice_of(corpus), "words", {"rounds": 1}), 1, tmp_path / "words")
    np.testing.assert_array_equal(teacher.probabilities(said.instances), said.predictions.probabilities)
    assert teacher_of(plain, corpus, store, 1) is None


def test_a_training_goes_on_with_its_own_teacher_alone(
    make_corpus: Make, make_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("classifier.training.saver.SECONDS_BETWEEN_SAVES", 0.0)
    corpus = make_corpus("sentence")
    store, config = make_store(corpus), RunConfig(choice_of(corpus), replace(HEAD, teacher="any", max_epochs=3))

    def trained(run: Path, teacher: Teacher, stop: bool = False) -> int:
        heard: list[object] = []

        def progress(event: object) -> None:
            if not isinstance(event, Epoch):
                return
            heard.append(event)
            if stop:
                raise KeyboardInterrupt

        train_head(corpus, store, config, 1, run, teacher=teacher, progress=progress)
        return len(heard)

    asked: list[int] = []

    def counting(instances: Sequence[Instance]) -> NDArray[np.float32]:
        asked.append(len(instances))
        return contrary(instances)

    one, other = Teacher("one", counting), Teacher("other", contrary)
    assert trained(tmp_path / "whole", one) == 3
    for name in ("same", "changed"):
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path / name, one, stop=True)
        assert (tmp_path / name / "fold-1" / UNFINISHED).exists()
    times = len(asked)
    assert trained(tmp_path / "same", one) == 2
    assert len(asked) == times, "what the teacher has said is kept"
    assert trained(tmp_path / "changed", other) == 3, "what was learnt from another teacher is not gone on from"
    weights = [(tmp_path / name / "fold-1" / "model.safetensors").read_bytes() for name in ("whole", "same")]
    assert weights[0] == weights[1]


def test_teachers_that_do_not_belong(make_corpus: Make, make_store: Store, tmp_path: Path) -> None:
    corpus = make_corpus("sentence")
    store = make_store(corpus)
    short = RunConfig(choice_of(corpus), replace(HEAD, max_epochs=1))
    train_fold(corpus, store, short, 1, tmp_path / "head")
    train_fold(corpus, store, replace(short, train=replace(short.train, refit=True)), 1, tmp_path / "refit")

    def pupil(of: str) -> RunConfig:
        return RunConfig(choice_of(corpus), replace(HEAD, teacher=str(tmp_path / of)))

    with pytest.raises(MissingFileError, match="fold-2"):
        train_fold(corpus, store, pupil("head"), 2, tmp_path / "out")
    with pytest.raises(MissingFileError, match="nowhere"):
        train_fold(corpus, store, pupil("nowhere"), 1, tmp_path / "out")
    with pytest.raises(MismatchError, match=r"the teacher .*head/fold-1 was trained on toy .* not this head's corpus"):
        train_fold(replace(corpus, digest="0" * 64), store, pupil("head"), 1, tmp_path / "out")
    with pytest.raises(UsageError, match=r"learnt from the dev part too \(--refit\)"):
        train_fold(corpus, store, pupil("refit"), 1, tmp_path / "out")
    larger = replace(pupil("head"), train=replace(pupil("head").train, dev_share=0.3))
    with pytest.raises(UsageError, match=r"another dev part .*--dev-share"):
        train_fold(corpus, store, larger, 1, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    for without in ({"teacher_share": 0.9}, {"unlabelled": "more.jsonl"}):
        with pytest.raises(UsageError, match="needs a teacher"):
            replace(HEAD, **without)
