"""A run from end to end on a small corpus: training, checkpoint, evaluation, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from classifier.commands.epochs import plan_notes
from classifier.data.features import open_features
from classifier.data.split import training_parts
from classifier.data.vectors import DistinctSentences
from classifier.runs.checkpoint import load_checkpoint
from classifier.runs.classify import classify
from classifier.runs.compare import compare
from classifier.runs.config import RunConfig, config_toml, read_config, run_name, trained_folds
from classifier.runs.find import latest_run
from classifier.runs.folds import plan_fold, train_fold
from classifier.runs.outputs import chemprot_tsv
from classifier.runs.results import results_of
from classifier.systems.folds import evaluate_fold
from classifier.training.config import RECIPES, TrainConfig, recipe
from classifier.training.epoch import Epoch, Notice
from classifier.training.estimate import TrainingPlan
from classifier.training.resume import UNFINISHED
from featstore.corpora import CorpusChoice
from featstore.errors import DataError, MismatchError, MissingFeatureError, MissingFileError, UsageError
from featstore.records import Corpus
from featstore.stores import FeatureStore

FAST = TrainConfig(features="glove+elmo", optimizer="adamw", lr=0.01, hidden=16, max_epochs=16, batch_size=8)
FILES = ["README.md", "config.toml", "metrics.json", "model.safetensors", "predictions.tsv", "run.json"]
Make = Callable[..., Corpus]
Store = Callable[[Corpus], Path]


def run_config(corpus: Corpus, **train: object) -> RunConfig:
    config = RunConfig(CorpusChoice(corpus.spec, corpus.indicators, corpus.context))
    return replace(config, train=replace(FAST, **train))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("context", "options"),
    [
        ("tagged", {}),
        ("sentence", {"standardise": True, "precision": "bfloat16", "dropout": 0.1}),
        ("sentence", RECIPES["best"] | {"hidden": 16, "project": 5, "lr": 0.03, "dropout": 0.1, "max_epochs": 40}),
    ],
)
def test_learns_a_signal(
    context: str, options: dict[str, object], make_corpus: Make, make_store: Store, tmp_path: Path
) -> None:
    corpus = make_corpus(context)
    heard: list[object] = []
    config = run_config(corpus, **options)
    run = tmp_path / "run"
    evaluation = evaluate_fold(corpus, make_store(corpus), config, 2, run, progress=heard.append)
    assert evaluation.metrics.micro.f1 is not None
    assert evaluation.metrics.micro.f1 > 0.9
    assert isinstance(heard[0], Notice)
    assert "fold 2" in heard[0].text
    assert sorted(path.name for path in (run / "fold-2").iterdir()) == FILES
    assert read_config(run) == config
    assert trained_folds(run) == (2,)

    rows = [line.split("\t") for line in (run / "fold-2" / "predictions.tsv").read_text().splitlines()]
    assert rows[0] == ["id", "gold", "predicted", "p(neg)", "p(pos)"]
    assert [row[0] for row in rows[1:]] == [corpus.instances[p].id for p in corpus.partition(2).test]
    right = sum(row[1] == row[2] for row in rows[1:])
    metrics = json.loads((run / "fold-2" / "metrics.json").read_text())
    assert metrics["accuracy"] == pytest.approx(right / (len(rows) - 1))
    assert all(float(row[3]) + float(row[4]) == pytest.approx(1, abs=2e-6) for row in rows[1:])


def test_of_two_that_train_into_one_new_folder_the_second_is_refused(
    make_corpus: Make, make_store: Store, tmp_path: Path
) -> None:
    corpus = make_corpus("sentence")
    store, run = make_store(corpus), tmp_path / "run"
    mine, other = run_config(corpus, max_epochs=1), run_config(corpus, max_epochs=1, seed=2)

    def meanwhile(_: object) -> None:
        if not run.exists():
            train_fold(corpus, store, other, 1, run)

    with pytest.raises(UsageError, match="belongs to another configuration: seed is 2 there and 1 now"):
        train_fold(corpus, store, mine, 1, run, progress=meanwhile)
    assert read_config(run) == other
    assert load_checkpoint(run / "fold-1").config.seed == 2


def test_refit_learns_from_the_dev_part_too(make_corpus: Make, make_store: Store, tmp_path: Path) -> None:
    corpus = make_corpus("sentence")
    store, heard = make_store(corpus), list[object]()
    plain = run_config(corpus, max_epochs=4, standardise=True, favour=True, average=0.9)
    refitted = replace(plain, train=replace(plain.train, refit=True))
    assert run_name(plain) != run_name(refitted)
    first = train_fold(corpus, store, plain, 1, tmp_path / "plain")
    second = train_fold(corpus, store, refitted, 1, tmp_path / "refit", progress=heard.append)
    assert [replace(e, seconds=0) for e in second.training.epochs] == [
        replace(e, seconds=0) for e in first.training.epochs
    ], "what is chosen is chosen on the train part alone"
    assert second.training.shift == first.training.shift
    assert len(second.training.refit) == second.training.best_epoch
    told = [event.text for event in heard if isinstance(event, Notice)]
    assert len(told) == second.training.best_epoch
    assert "on the train and the dev part" in told[0]
    assert "on both parts together" in (tmp_path / "refit" / "fold-1" / "README.md").read_text()

    sizes = first.training.instances
    for folder, config in (("plain", plain), ("refit", refitted)):
        evaluate_fold(corpus, store, config, 1, tmp_path / folder)
    chosen, anew = results_of(tmp_path / "plain"), results_of(tmp_path / "refit")
    sentence_of = {instance.id: instance.group for instance in corpus.instances}
    with pytest.raises(UsageError, match=r"has learnt from the dev part too \(--refit\).*--across-refit"):
        compare(chosen, anew, sentence_of)
    assert compare(chosen, anew, sentence_of, across_refit=True).pairs
    # A head that saw the labels of the dev part knows them better than one that chose by them.
    loss = {name: dev_loss(corpus, store, tmp_path / name / "fold-1", sizes.dev) for name in ("plain", "refit")}
    assert loss["refit"] < loss["plain"]


def dev_loss(corpus: Corpus, store: Path, folder: Path, size: int) -> float:
    """Return the mean loss on the dev part of fold 1."""
    checkpoint = load_checkpoint(folder)
    _, dev = training_parts(corpus, 1, checkpoint.config.dev_share)
    assert len(dev) == size
    instances = [corpus.instances[p] for p in dev]
    keys = DistinctSentences.of(instances).keys
    with open_features(checkpoint.parsed_features, store, keys, "", checkpoint.features) as stores:
        found = classify(checkpoint, instances, stores).probabilities
    gold = [corpus.labels.index(instance.label or "") for instance in instances]
    return float(-np.log(found[np.arange(size), gold]).mean())


class Interrupt:
    """Interrupts a training at one of its notices."""

    def __init__(self, *, notices: int) -> None:
        self.left = notices

    def __call__(self, event: Epoch | Notice) -> None:
        self.left -= isinstance(event, Notice)
        if not self.left:
            raise KeyboardInterrupt


def test_a_killed_refit_goes_on(
    make_corpus: Make, make_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("classifier.training.saver.SECONDS_BETWEEN_SAVES", 0.0)
    corpus = make_corpus("sentence")
    store = make_store(corpus)
    config = run_config(corpus, max_epochs=5, average=0.9, favour=True, dropout=0.2, refit=True)
    whole = train_fold(corpus, store, config, 1, tmp_path / "whole")
    assert len(whole.training.refit) >= 2, "choose another rate: there must be a refit to interrupt"

    for stop_at in (0, 1):  # at the end of the first epoch of the refit, and of the second
        run = tmp_path / f"killed-{stop_at}"
        with pytest.raises(KeyboardInterrupt):
            train_fold(corpus, store, config, 1, run, progress=Interrupt(notices=stop_at + 1))
        assert (run / "fold-1" / UNFINISHED).exists()
        assert plan_fold(corpus, store, config, 1, run).refit == len(whole.training.refit) - stop_at - 1
        heard: list[object] = []
        train_fold(corpus, store, config, 1, run, progress=heard.append)
        assert not [event for event in heard if isinstance(event, Epoch)], "the epoch was chosen before"
        assert len(heard) == len(whole.training.refit) - stop_at - 1
        names = [tmp_path / "whole", run]
        first, second = ((folder / "fold-1" / "model.safetensors").read_bytes() for folder in names)
        assert first == second


def test_a_run_repeats_to_the_last_digit(make_corpus: Make, make_store: Store, tmp_path: Path) -> None:
    corpus = make_corpus("sentence")
    store = make_store(corpus)
    config = run_config(corpus, max_epochs=3, dropout=0.2, standardise=True)
    for folder in ("a", "b"):
        evaluate_fold(corpus, store, config, 1, tmp_path / folder, ram_budget=0 if folder == "b" else 1 << 30)
    for name in ("config.toml", "metrics.json", "model.safetensors", "predictions.tsv"):
        first, second = ((tmp_path / folder / "fold-1" / name).read_bytes() for folder in ("a", "b"))
        assert first == second, name


def test_a_training_is_announced_and_planned_without_a_trace(
    make_corpus: Make, make_store: Store, tmp_path: Path
) -> None:
    corpus = make_corpus()
    store, config = make_store(corpus), run_config(corpus, max_epochs=2, dropout=0.2, members=2)
    planned = plan_fold(corpus, store, config, 1, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    heard: list[TrainingPlan | Epoch | Notice] = []
    told = train_fold(corpus, store, config, 1, tmp_path / "run", announce=heard.append, progress=heard.append)
    train_fold(corpus, store, config, 1, tmp_path / "silent")
    weights = [(tmp_path / run / "fold-1" / "model.safetensors").read_bytes() for run in ("run", "silent")]
    assert weights[0] == weights[1], "the estimate changes nothing"
    plan = heard[0]
    assert isinstance(plan, TrainingPlan)
    assert replace(plan, seconds=0) == replace(planned, seconds=0)
    assert (plan.train, plan.dev, plan.done) == (told.training.instances.train, told.training.instances.dev, 0)
    assert plan.parameters == sum(tensor.numel() for tensor in told.head.parameters())
    assert plan.seconds > 0


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_an_interrupted_fold_goes_on(
    optimizer: str, make_corpus: Make, make_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("classifier.training.saver.SECONDS_BETWEEN_SAVES", 0.0)
    corpus = make_corpus()
    store, config = make_store(corpus), run_config(corpus, max_epochs=6, patience=1, optimizer=optimizer, dropout=0.2)
    train_fold(corpus, store, config, 1, tmp_path / "whole")

    def interrupt(event: object) -> None:
        assert isinstance(event, Epoch)
        if event.number == 4:
            raise KeyboardInterrupt

    cut = tmp_path / "cut"
    with pytest.raises(KeyboardInterrupt):
        train_fold(corpus, store, config, 1, cut, progress=interrupt)
    assert [path.name for path in (cut / "fold-1").iterdir()] == [UNFINISHED]
    assert trained_folds(cut) == ()
    state = (cut / "fold-1" / UNFINISHED).read_bytes()
    heard: list[Epoch] = []
    train_fold(corpus, store, config, 1, cut, progress=heard.append)  # type: ignore[arg-type]
    assert [epoch.number for epoch in heard] == [5, 6]
    weights = [(tmp_path / run / "fold-1" / "model.safetensors").read_bytes() for run in ("cut", "whole")]
    assert weights[0] == weights[1]
    assert not (cut / "fold-1" / UNFINISHED).exists()

    # The state of another training, or half of one, is of no use, and does no harm.
    for other, content in ((run_config(corpus, max_epochs=2, seed=2), state), (config, state[:1000])):
        heard.clear()
        folder = tmp_path / f"other{other.train.seed}" / "fold-1"
        folder.mkdir(parents=True)
        (folder / UNFINISHED).write_bytes(content)
        train_fold(corpus, store, other, 1, folder.parent, progress=heard.append)  # type: ignore[arg-type]
        assert heard[0].number == 1


def test_an_evaluated_fold_is_not_trained_again(make_corpus: Make, make_store: Store, tmp_path: Path) -> None:
    corpus = make_corpus()
    store, config = make_store(corpus), run_config(corpus, max_epochs=1)
    first = evaluate_fold(corpus, store, config, 1, tmp_path)
    heard: list[object] = []
    second = evaluate_fold(corpus, store, config, 1, tmp_path, progress=heard.append)
    assert heard == []
    assert np.array_equal(first.predictions.probabilities, second.predictions.probabilities)
    train_fold(corpus, store, config, 1, tmp_path, progress=heard.append)
    assert len(heard) == 1
    assert not (tmp_path / "fold-1" / "metrics.json").exists(), "the metrics of the head before"


def test_a_checkpoint_serves_other_instances(
    make_corpus: Make, make_store: Store, in_memory: Callable[..., FeatureStore], tmp_path: Path
) -> None:
    corpus = make_corpus("sentence")
    evaluation = evaluate_fold(corpus, make_store(corpus), run_config(corpus, max_epochs=2), 3, tmp_path)
    instances = [replace(instance, label=None) for instance in evaluation.instances[:4]]
    stores = [in_memory(instances, "glove", 8), in_memory(instances, "elmo", 18, 3)]
    predictions = classify(load_checkpoint(tmp_path / "fold-3"), instances, stores)
    np.testing.assert_allclose(predictions.probabilities, evaluation.predictions.probabilities[:4], atol=1e-6)
    for instance, weights in zip(instances, predictions.attention, strict=True):
        assert weights.shape == (len(instance.layout),)
        assert weights.sum() == pytest.approx(1)
    with pytest.raises(MismatchError, match="trained on"):
        classify(load_checkpoint(tmp_path / "fold-3"), instances, stores[::-1])


def test_a_runs_folder_belongs_to_one_configuration(make_corpus: Make, make_store: Store, tmp_path: Path) -> None:
    corpus = make_corpus()
    store = make_store(corpus)
    train_fold(corpus, store, run_config(corpus, max_epochs=1), 1, tmp_path)
    with pytest.raises(UsageError, match=r"lr is 0\.01 there and 0\.02 now\. Choose another folder with --run"):
        train_fold(corpus, store, run_config(corpus, max_epochs=1, lr=0.02), 2, tmp_path)
    with pytest.raises(MismatchError, match="context is 'tagged', the corpus was loaded with 'sentence'"):
        train_fold(make_corpus("sentence"), store, run_config(corpus, max_epochs=1), 2, tmp_path)
    changed = replace(corpus, digest="e2" * 8)
    with pytest.raises(MismatchError, match="another version of the corpus"):
        evaluate_fold(changed, store, run_config(corpus, max_epochs=1), 1, tmp_path)


def test_nothing_is_written_when_training_cannot_end(make_corpus: Make, make_store: Store, tmp_path: Path) -> None:
    corpus, run = make_corpus(), tmp_path / "run"
    store = make_store(corpus)
    config = run_config(corpus)

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_fold(corpus, store, config, 1, run, progress=interrupt)
    with pytest.raises(UsageError, match="fold 9 of toy does not exist; it has folds 1, 2, 3"):
        train_fold(corpus, store, config, 9, run)
    with pytest.raises(MissingFeatureError, match=r"featurize --encoders cse --corpus toy --context tagged .* --store"):
        train_fold(corpus, store, run_config(corpus, features="cse"), 1, run)
    sentence = make_corpus("sentence")  # only the tagged context was featurized
    with pytest.raises(MissingFeatureError, match="--context sentence"):
        train_fold(sentence, store, run_config(sentence), 1, run)
    with pytest.raises(UsageError, match="the loss became"):
        train_fold(corpus, store, run_config(corpus, optimizer="sgd", lr=1e38), 1, run)
    assert not run.exists()


def test_parts_that_cannot_be_trained_on(make_corpus: Make, make_store: Store, tmp_path: Path) -> None:
    corpus = make_corpus()
    store = make_store(corpus)

    def attempt(changed: Corpus) -> None:
        train_fold(changed, store, run_config(corpus), 1, tmp_path / "run")

    alone = tuple(replace(i, label="neg") if i.fold != 1 else i for i in corpus.instances)
    with pytest.raises(DataError, match=r"train part .* no instance of a positive label \(pos\), so there is nothing"):
        attempt(replace(corpus, instances=alone))
    alone = tuple(replace(i, label="pos") for i in corpus.instances)
    with pytest.raises(DataError, match=r"train part .* has the label pos alone"):
        attempt(replace(corpus, instances=alone))
    unlabelled = tuple(replace(i, label=None) if i.id == "toy:1" else i for i in corpus.instances)
    with pytest.raises(DataError, match="has 1 instance without a label, the first is 'toy:1'"):
        attempt(replace(corpus, instances=unlabelled))
    split = [
        replace(i, fold=None, split="dev" if i.label == "neg" and i.fold == 1 else "train") for i in corpus.instances
    ]
    with pytest.raises(DataError, match=r"dev part .* no instance of a positive label \(pos\)"):
        attempt(replace(corpus, instances=tuple(split)))


def test_a_label_that_no_training_instance_has(make_corpus: Make, make_store: Store, tmp_path: Path) -> None:
    corpus = make_corpus()
    store = make_store(corpus)
    wider = replace(corpus, labels=(*corpus.labels, "rare", "rarer"), positive=(*corpus.positive, "rare", "rarer"))
    plans: list[TrainingPlan] = []
    train_fold(wider, store, run_config(corpus), 1, tmp_path / "run", announce=plans.append)
    assert plans[0].unseen == ("rare", "rarer")
    assert "rare, rarer: the model cannot learn them" in plan_notes(plans[0])[0]
    metrics = evaluate_fold(wider, store, run_config(corpus), 1, tmp_path / "run").metrics
    assert metrics.per_class["rare"].predicted == 0


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("sample-glove+cse+elmo-tagged-tags-best-seed1", RunConfig()),
        ("sample-glove+cse-tagged-tags-paper-seed1", RunConfig(train=recipe("paper", features="glove+cse"))),
        ("sample-glove-tagged-tags-paper-seed1-6b3537", RunConfig(train=recipe("paper", features="glove", lr=0.05))),
        (
            "chemprot-glove+elmo[avg]-sentence-blind-best-seed3-14abc9",
            RunConfig(
                CorpusChoice("chemprot:/data/x", "blind", "sentence", Path("list.tsv")),
                recipe("best", features="glove+elmo[avg]", seed=3, max_epochs=4, favour=False),
            ),
        ),
    ],
)
def test_a_configuration_keeps_its_name(name: str, config: RunConfig) -> None:
    """A new training option must rename no run: only what differs from the recipe is hashed."""
    assert run_name(config) == name


def test_a_number_has_one_name() -> None:
    one, other = (RunConfig(train=recipe("paper", lr=lr)) for lr in (1, 1.0))
    assert run_name(one) == run_name(other)


def test_names_and_configurations(tmp_path: Path) -> None:
    plain = RunConfig(train=TrainConfig(features="glove+cse"))
    assert run_name(plain) == "sample-glove+cse-tagged-tags-paper-seed1"
    other = replace(plain, train=replace(plain.train, lr=0.05))
    assert run_name(other).startswith(run_name(plain) + "-")
    assert run_name(other) != run_name(replace(plain, train=replace(plain.train, lr=0.02)))

    with pytest.raises(MissingFileError, match="holds no run"):
        latest_run(tmp_path)
    strange = replace(plain, corpus=CorpusChoice('jsonl:C:\\a "quoted" näme.jsonl', instances=Path("some list.tsv")))
    for name, config in (("a", plain), ("b", strange)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.toml").write_text(config_toml(config), encoding="utf-8")
        assert read_config(tmp_path / name) == config
    (tmp_path / "b" / "config.toml").write_text("seed = ")
    with pytest.raises(DataError, match="not the configuration of a run"):
        read_config(tmp_path / "b")
    for text, said in {
        "[train]\nsede = 1\n": "'train.sede' is not known here. Did you mean 'seed'",
        "[train]\nseed = 'one'\n": "'train.seed' must be a whole number, not 'one'",
        "[train]\nspans = true\n": "'train.spans' is True, and this version knows only False",
        "[train]\nlr = -1.0\n": "'train' cannot be used: .* lr is -1",
        "corpus = 'sample'\n": "'train' is missing",
        "context = 'sentences'\n[train]\n": "context 'sentences' is unknown",
    }.items():
        (tmp_path / "b" / "config.toml").write_text(text)
        with pytest.raises(DataError, match=said):
            read_config(tmp_path / "b")
    with pytest.raises(MissingFileError, match="is not a run"):
        read_config(tmp_path / "c")


def test_the_chemprot_evaluation_kits_format(make_corpus: Make, make_store: Store, tmp_path: Path) -> None:
    corpus = make_corpus()
    evaluation = evaluate_fold(corpus, make_store(corpus), run_config(corpus, max_epochs=4), 1, tmp_path)
    text = chemprot_tsv(evaluation.instances, evaluation.predictions, corpus.labels, corpus.positive)
    positive = [i for i, n in zip(evaluation.instances, evaluation.predictions.labels, strict=True) if n == 1]
    assert positive
    assert text.splitlines() == [f"{i.source['pmid']}\tpos\tArg1:T1\tArg2:T2" for i in positive]
    bare = [replace(i, source={"pmid": "1"}) for i in evaluation.instances]
    with pytest.raises(DataError, match="has no 'head' in its source"):
        chemprot_tsv(bare, evaluation.predictions, corpus.labels, corpus.positive)
