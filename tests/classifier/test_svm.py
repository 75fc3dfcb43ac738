"""The system svm: its scores are scikit-learn's, its files give them again, and it resumes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import CalibratedClassifierCV
from sklearn.feature_selection import SelectKBest, chi2
from sklearn.svm import SVC, LinearSVC

from classifier.runs.config import RunConfig
from classifier.systems.choice import run_config
from classifier.systems.contract import FitTask, KeptState
from classifier.systems.folds import evaluate_fold, train_fold
from classifier.systems.saved import load_fitted
from classifier.systems.svm.calibration import probabilities_of, sigmoid_of, sigmoids_of
from classifier.systems.svm.config import SvmOptions
from classifier.systems.svm.features import FAMILIES
from classifier.systems.svm.fitting import fit, parts_of, sampled
from classifier.systems.svm.members import MEMBERS, SvmMember, fit_machine, kernel_of, weighted
from classifier.systems.svm.space import FeatureNames, Space, describe
from classifier.training.epoch import Epoch, Notice
from featstore.corpora import CorpusChoice
from featstore.errors import DataError, UsageError
from featstore.records import Corpus, Instance

Make = Callable[..., Corpus]


class Kept:
    """A keeper in memory, which can end a fit after some parts."""

    def __init__(self, end_after: int = 100) -> None:
        self.state: KeptState | None = None
        self.end_after = end_after

    def load(self) -> KeptState | None:
        return self.state

    def save(self, state: KeptState) -> None:
        self.state = KeptState({name: t.clone() for name, t in state.tensors.items()}, state.facts)
        self.end_after -= 1
        if not self.end_after:
            raise KeyboardInterrupt


def task_of(corpus: Corpus, keeper: Kept | None = None, **given: object) -> FitTask[SvmOptions]:
    train = [i for i in corpus.instances if i.fold != 1]
    dev = [i for i in corpus.instances if i.fold == 1]
    options = SvmOptions(features="", **{"calibration_parts": 2, "machines": "linear+mentions", **given})  # type: ignore[arg-type]
    return FitTask(options, train, dev, corpus.labels, corpus.positive, (), lambda _: None, keeper or Kept())


def three_labels(corpus: Corpus) -> Corpus:
    """Give every other positive instance a label of its own."""
    positive = [i for i in corpus.instances if i.label == "pos"]
    other = {i.group for i in positive[::2]}
    instances = tuple(replace(i, label="more") if i.group in other else i for i in corpus.instances)
    return replace(corpus, instances=instances, labels=("neg", "pos", "more"), positive=("pos", "more"))


@pytest.fixture
def described(make_corpus: Make) -> tuple[FeatureNames, np.ndarray]:
    corpus = three_labels(make_corpus())
    found = describe(corpus.instances, "", ())
    vectors = np.random.default_rng(1).standard_normal((len(corpus.instances), 6, 4)).astype(np.float32)
    return replace(found, averages=vectors), np.array([corpus.labels.index(i.label or "") for i in corpus.instances])


@pytest.mark.parametrize("member", MEMBERS.values(), ids=str)
@pytest.mark.parametrize("labels", [2, 3])
def test_scores_are_those_of_scikit_learn(
    member: SvmMember, labels: int, described: tuple[FeatureNames, np.ndarray]
) -> None:
    data, gold = described
    gold = np.minimum(gold, labels - 1)
    fitted_on, seen = np.arange(60), np.arange(50, len(gold))
    space = Space.fit(data.take(fitted_on), gold[fitted_on], least=2, select=50)
    rows, unseen = space.rows(data.take(fitted_on)), space.rows(data.take(seen))
    machine = fit_machine(member, 1.0, rows, gold[fitted_on], labels=labels, seed=3)
    found = machine.scores(member, unseen)
    left, right = (weighted(member, each).joined().toarray() for each in (rows, unseen))
    for column, label in enumerate(range(labels) if labels > 2 else [1]):
        target = gold[fitted_on] == label
        if member.kernel == "linear":
            theirs = LinearSVC(C=1.0, random_state=3).fit(left, target).decision_function(right)
        elif member.kernel == "quadratic":
            svm = SVC(C=1.0, kernel="poly", degree=2, gamma=0.5, coef0=0.5).fit(left, target)
            theirs = svm.decision_function(right)
        else:
            norms = np.linalg.norm(left, axis=1)
            np.testing.assert_allclose(norms, 1, atol=1e-6)  # so that the kernel is scikit-learn's
            np.testing.assert_allclose(np.linalg.norm(right, axis=1), 1, atol=1e-2)
            kernel = kernel_of(member, left @ left.T)
            theirs = (
                SVC(C=1.0, kernel="precomputed")
                .fit(kernel, target)
                .decision_function(kernel_of(member, right @ left.T))
            )
        np.testing.assert_allclose(found[:, column], theirs, atol=1e-3 if member.kernel == "linear" else 1e-8)


def test_the_rbf_kernel_is_scikit_learns(described: tuple[FeatureNames, np.ndarray]) -> None:
    data, gold = described
    member = MEMBERS["mentions"]
    rows = Space.fit(data, gold, least=1, select=10_000).rows(data)
    inputs = weighted(member, rows).joined().toarray()
    machine = fit_machine(member, 2.0, rows, np.minimum(gold, 1), labels=2, seed=1)
    theirs = SVC(C=2.0, kernel="rbf", gamma=member.gamma).fit(inputs, gold > 0).decision_function(inputs)
    np.testing.assert_allclose(machine.scores(member, rows)[:, 0], theirs, atol=1e-6)


def test_a_machine_with_a_kernel_keeps_to_its_sample(described: tuple[FeatureNames, np.ndarray]) -> None:
    data, gold = described
    member, sample = MEMBERS["quadratic"], np.arange(0, len(gold), 3)
    space = Space.fit(data, gold, least=1, select=1000)
    whole = fit_machine(member, 1.0, space.rows(data), gold, labels=3, seed=1, sample=sample)
    alone = fit_machine(member, 1.0, space.rows(data.take(sample)), gold[sample], labels=3, seed=1)
    rows = space.rows(data)
    np.testing.assert_allclose(whole.scores(member, rows), alone.scores(member, rows), atol=1e-9)


def test_the_features_are_chosen_as_scikit_learn_does(described: tuple[FeatureNames, np.ndarray]) -> None:
    data, gold = described
    wide = Space.fit(data, gold, least=3, select=100_000)
    narrow = Space.fit(data, gold, least=3, select=7)
    for number, family in enumerate(FAMILIES):
        counts = np.array([sum(name in names[family] for names in data.names) for name in wide.vocabulary[number]])
        assert (counts >= 3).all(), family
        if len(wide.vocabulary[number]) > 7:
            theirs = SelectKBest(chi2, k=7).fit(wide.rows(data).families[number], gold).scores_
            mine = [theirs[wide.vocabulary[number].index(name)] for name in narrow.vocabulary[number]]
            assert sorted(mine) == sorted(theirs)[-7:]
    unknown = FeatureNames([{family: ["never seen"] for family in FAMILIES}], np.zeros((1, 6, 4), np.float32))
    assert all(not family.nnz for family in narrow.rows(unknown).families)


def test_the_sigmoid_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(2)
    inputs = rng.standard_normal((120, 3))
    target = inputs[:, 0] + rng.standard_normal(120) > 0.3
    half = np.arange(120) < 60
    svm = LinearSVC(C=0.5, random_state=0).fit(inputs[half], target[half])
    cut = [(np.flatnonzero(half), np.flatnonzero(~half)), (np.flatnonzero(~half), np.flatnonzero(half))]
    theirs = CalibratedClassifierCV(LinearSVC(C=0.5, random_state=0), ensemble=False, cv=cut).fit(inputs, target)
    scores = np.zeros(120)
    for rest, out in cut:
        svm = LinearSVC(C=0.5, random_state=0).fit(inputs[rest], target[rest])
        scores[out] = svm.decision_function(inputs[out])
    line = sigmoids_of(scores[:, None], target.astype(np.int64))
    whole = LinearSVC(C=0.5, random_state=0).fit(inputs, target).decision_function(inputs)
    np.testing.assert_allclose(probabilities_of(whole[:, None], line), theirs.predict_proba(inputs), atol=1e-3)
    perfect = sigmoid_of(np.where(target, 1.0, -1.0), target)
    assert np.isfinite(perfect).all()
    assert perfect[0] > 0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 5), st.integers(2, 6))
def test_parts_hold_whole_sentences(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 25, 60)
    blank = Instance("i", ("a", "b"), (0, 1), (), (0, 1), (1, 2), "gene", "chem", None)
    instances = [replace(blank, group=str(group)) for group in groups]
    gold = groups % 3 % 2
    parts = parts_of(instances, gold, ("neg", "pos"), count, seed)
    assert all(len(set(parts[groups == group])) == 1 for group in set(groups.tolist()))
    assert set(parts) == set(range(count))
    assert all(set(gold[parts != part]) == {0, 1} for part in range(count))


def test_a_sample_keeps_the_positive_instances() -> None:
    gold = np.zeros(200, np.int64)
    gold[:5] = [0, 1, 0, 2, 0]
    assert sampled(gold, SvmOptions()).tolist() == list(range(200))
    few = sampled(gold, SvmOptions(kernel_rows=100))
    assert len(few) == len(set(few)) == 100
    assert {1, 3} <= set(few.tolist())
    mostly = gold[::-1].copy()
    mostly[:190] = 1
    kept = mostly[sampled(mostly, SvmOptions(kernel_rows=100))]
    assert np.bincount(kept).tolist() == [8, 91, 1]


@pytest.mark.parametrize("context", ["tagged", "sentence"])
def test_it_learns_and_its_files_give_the_same(make_corpus: Make, tmp_path: Path, context: str) -> None:
    corpus = make_corpus(context)
    found = fit(task_of(corpus, machines="+".join(MEMBERS)))
    assert found.epochs[0].dev_f1 == 1.0
    instances = corpus.instances
    before = found.model.probabilities(instances, ())
    np.testing.assert_allclose(before.sum(1), 1, atol=1e-6)
    bare = [replace(i, label=None, fold=None, source={}, id="x") for i in instances]
    np.testing.assert_array_equal(found.model.probabilities(bare, ()), before)
    one = np.concatenate([found.model.probabilities([i], ()) for i in instances[:5]])
    np.testing.assert_allclose(one, before[:5], atol=1e-6)
    found.model.save(tmp_path)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".json", ".safetensors"]
    model = type(found.model).load(tmp_path, "", corpus.labels)  # type: ignore[attr-defined]
    np.testing.assert_allclose(model.probabilities(instances, ()), before, atol=1e-7)
    assert model.parameters == found.model.parameters
    again = tmp_path / "again"
    again.mkdir()
    fit(task_of(corpus, machines="+".join(MEMBERS))).model.save(again)
    assert all((again / p.name).read_bytes() == p.read_bytes() for p in tmp_path.iterdir() if p.is_file())


def test_an_interrupted_fit_goes_on(make_corpus: Make, tmp_path: Path) -> None:
    corpus, keeper = three_labels(make_corpus()), Kept(end_after=1)
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    fit(task_of(corpus)).model.save(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(task_of(corpus, keeper))
    heard: list[Epoch | Notice] = []
    fit(replace(task_of(corpus, keeper), progress=heard.append)).model.save(tmp_path / "cut")
    assert [type(event) for event in heard] == [Notice, Epoch]
    for path in (tmp_path / "whole").iterdir():
        assert (tmp_path / "cut" / path.name).read_bytes() == path.read_bytes()


def test_a_refit_learns_from_both_parts_and_goes_on(make_corpus: Make, tmp_path: Path) -> None:
    corpus, saves = three_labels(make_corpus()), 2  # of the parts of each fit
    for name in ("plain", "whole", "cut"):
        (tmp_path / name).mkdir()
    fit(task_of(corpus)).model.save(tmp_path / "plain")
    whole = fit(task_of(corpus, refit=True))
    assert len(whole.refit) == 1
    assert len(whole.epochs) == 1
    whole.model.save(tmp_path / "whole")
    assert files_of(tmp_path / "plain") != files_of(tmp_path / "whole")
    keeper = Kept(end_after=saves + 1)
    with pytest.raises(KeyboardInterrupt):
        fit(task_of(corpus, keeper, refit=True))
    heard: list[Epoch | Notice] = []
    again = fit(replace(task_of(corpus, keeper, refit=True), progress=heard.append))
    again.model.save(tmp_path / "cut")
    assert [type(event) for event in heard] == [Notice]  # the last part of the refit
    assert (again.refit, again.epochs[0].dev_f1) == (whole.refit, whole.epochs[0].dev_f1)
    assert files_of(tmp_path / "cut") == files_of(tmp_path / "whole")


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_run_with_stored_vectors(make_corpus: Make, make_store: Callable[..., Path], tmp_path: Path) -> None:
    corpus = make_corpus()
    store = make_store(corpus)
    choice = CorpusChoice(corpus.spec, corpus.indicators, corpus.context)
    config: RunConfig = run_config(choice, "svm", {"features": "glove", "machines": "linear+mentions"})
    train_fold(corpus, store, config, 1, tmp_path)
    found = evaluate_fold(corpus, store, config, 1, tmp_path)
    assert found.metrics.micro.f1 == 1.0
    fitted = load_fitted(tmp_path / "fold-1")
    assert fitted.facts.features[0].name == "glove"
    assert {"scikit-learn", "scipy"} <= set(fitted.facts.versions)


def _damaged(folder: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    (folder / name).write_bytes(change((folder / name).read_bytes()))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("arrays.safetensors", lambda raw: raw[: len(raw) // 2]),
        ("arrays.safetensors", lambda raw: raw.replace(b"linear.biases", b"linear.biasas")),
        ("arrays.safetensors", lambda raw: raw.replace(b"mentions.support", b"mentions.suppart")),
        ("features.json", lambda raw: raw[:-20]),
        ("features.json", lambda raw: raw.replace(b'"lexical"', b'"lexicon"')),
        ("features.json", lambda raw: raw.replace(b"[", b'["one more", ', 1)),
        ("members.json", lambda raw: raw.replace(b'"cost"', b'"price"')),
        ("members.json", lambda _: b"[1]"),
    ],
)
def test_damaged_files_are_refused(
    make_corpus: Make, tmp_path: Path, name: str, change: Callable[[bytes], bytes]
) -> None:
    corpus = make_corpus()
    found = fit(task_of(corpus))
    found.model.save(tmp_path)
    _damaged(tmp_path, name, change)
    with pytest.raises(DataError):
        type(found.model).load(tmp_path, "", corpus.labels)  # type: ignore[attr-defined]


def test_a_label_with_too_few_sentences_is_refused(make_corpus: Make) -> None:
    corpus = make_corpus()
    task = task_of(corpus)
    with pytest.raises(DataError, match="0 sentences with the label 'pos'"):
        fit(replace(task, train=[i for i in task.train if i.label == "neg"]))
    positive = next(i for i in task.train if i.label == "pos")
    with pytest.raises(DataError, match="1 sentence with the label 'pos'"):
        fit(replace(task, train=[positive, *(i for i in task.train if i.label == "neg")]))


def test_options() -> None:
    for chosen, said in (
        ({"machines": "linear+quadratisch"}, "quadratic"),
        ({"machines": "linear+linear"}, "twice"),
        ({"select": 0}, "select is 0"),
    ):
        with pytest.raises(UsageError, match=said):
            SvmOptions(**chosen)
    assert SvmOptions().names == tuple(MEMBERS)
