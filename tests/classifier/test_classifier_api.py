"""The Python API of classifier: a run is trained, evaluated, read, compared and bundled without the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import classifier
from classifier import Extractor, Grid, PredictionTable, Run
from featstore import CorpusChoice, featurize_corpus
from featstore.encoders import ENCODERS
from featstore.errors import DataError, MissingFileError, UsageError


@dataclass(frozen=True)
class Trained:
    """A run of two epochs on a corpus of marked pairs, and what it was made of."""

    run: Run
    spec: str
    store: Path
    runs: Path


@pytest.fixture(scope="module", autouse=True)
def _words_is_an_encoder() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ENCODERS, "words", "toy_model:load_words")
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, write_pairs: Callable[..., Path]) -> Trained:
    folder = tmp_path_factory.mktemp("api")
    spec = f"jsonl:{write_pairs(folder / 'pairs.jsonl')}"
    store = folder / "features"
    featurize_corpus(spec, ["words"], store=store, workers=1)
    heard: list[str] = []
    run = classifier.train(
        spec,
        "words",
        head="paper",
        store=store,
        runs=folder / "runs",
        hidden=4,
        max_epochs=2,
        announce=lambda plan: heard.append(f"fold {plan.fold}"),
        progress=lambda event: heard.append(type(event).__name__),
    )
    assert heard == ["fold 1", "Epoch", "Epoch"]
    return Trained(run, spec, store, folder / "runs")


def test_what_is_trained_can_be_opened_by_its_path_its_name_and_as_the_latest(trained: Trained) -> None:
    own = trained.run
    for opened in (
        classifier.open_run(own.folder, store=trained.store),
        classifier.open_run(own.folder.name, runs=trained.runs),
        classifier.open_run(runs=trained.runs),
    ):
        assert (opened.folder, opened.config, opened.folds) == (own.folder, own.config, (1,))
    assert own.config.train.hidden == 4
    assert own.facts().training.instances == own.facts(1).training.instances
    assert [each.folder for each in classifier.list_runs(trained.runs)] == [own.folder]
    with pytest.raises(MissingFileError, match="no run 'mine'"):
        classifier.open_run("mine", runs=trained.runs)


def test_predictions_are_typed_rows_that_agree_with_the_evaluation(trained: Trained) -> None:
    evaluation = trained.run.evaluate()
    table = trained.run.predictions()
    assert len(table) == len(evaluation.instances) > 20
    assert [row.id for row in table] == [instance.id for instance in evaluation.instances]
    labels = trained.run.corpus.labels
    assert [row.predicted for row in table] == [labels[n] for n in evaluation.predictions.labels]
    assert sum(row.gold == row.predicted for row in table) == sum(
        evaluation.metrics.confusion[n][n] for n in range(len(labels))
    )
    assert table[0].probability == max(table[0].probabilities.values())
    assert isinstance(table[:3], PredictionTable)
    assert [row.id for row in table[-3:]] == [row.id for row in list(table)[-3:]]
    frame = pytest.importorskip("pandas") and table[:5].to_dataframe()
    assert list(frame.columns) == ["id", "gold", "predicted", *(f"p({label})" for label in labels)]
    assert frame["id"].tolist() == [row.id for row in table[:5]]


def test_predictions_of_a_fold_that_was_not_evaluated_are_made(trained: Trained) -> None:
    assert trained.run.plan(2).train > 0
    assert {row.id for row in trained.run.predictions(2)}.isdisjoint({row.id for row in trained.run.predictions(1)})
    assert {result.fold for result in trained.run.results()} >= {2}
    assert 2 in trained.run.overview().evaluated


def test_a_damaged_table_of_predictions_is_refused(tmp_path: Path) -> None:
    from classifier.runs.predicted import read_table

    with pytest.raises(MissingFileError, match="cli eval"):
        read_table(tmp_path)
    for rows in ("a\tNONE\tOTHER\t0.5", "a\tNONE\tNONE\t0.5\t0.5", "a\tNONE\tNONE\tx", "a"):
        (tmp_path / "predictions.tsv").write_text(f"id\tgold\tpredicted\tp(NONE)\n{rows}\n")
        with pytest.raises(DataError, match="evaluate the fold again"):
            read_table(tmp_path)


def test_runs_are_compared_and_a_grid_is_run_beside_them(trained: Trained, tmp_path: Path) -> None:
    grid = Grid(
        ("words",),
        seeds=(1, 2),
        heads=("paper",),
        corpus=trained.spec,
        options={"hidden": 4, "max_epochs": 1},
    )
    ablation = classifier.run_ablation(grid, store=trained.store, runs=tmp_path / "runs", report=tmp_path / "report")
    assert not ablation.failed
    assert (tmp_path / "report" / "report.html").is_file()
    one, other = classifier.list_runs(tmp_path / "runs")
    compared = classifier.compare_runs(classifier.open_run(one.folder), other.folder)
    assert compared.differing["seed"] == ["1", "2"]
    assert len(compared.tests) == 1


def test_a_run_a_fold_and_a_bundle_give_the_same_model(trained: Trained, tmp_path: Path) -> None:
    run = trained.run
    bundle = run.bundle(tmp_path / "bundle", with_encoders=False)
    models = [Extractor.load(place) for place in (run.folder, run.folder / "fold-1", str(bundle))]
    models += [run.extractor(), Extractor.load(run.folder, fold=1)]
    text, mentions = "Compound inhibits kinase.", [(0, 8, "CHEMICAL"), (18, 24, "GENE")]
    answers = [[r.probabilities for r in model.extract(text, mentions, threshold=0.0)] for model in models]
    assert answers == answers[:1] * len(models)
    assert len(answers[0]) == 1
    with pytest.raises(MissingFileError, match="no trained fold 3"):
        Extractor.load(run.folder, fold=3)
    with pytest.raises(UsageError, match="no run"):
        Extractor.load(bundle, fold=1)
    with pytest.raises(MissingFileError, match="no model"):
        Extractor.load(tmp_path / "nothing")


def test_the_marking_is_part_of_what_is_trained(trained: Trained) -> None:
    run = Run(trained.runs / "new", trained.run.config, store=trained.store)
    assert not run.folds
    assert run.corpus.context == "tagged"
    chosen = CorpusChoice(trained.spec, context="sentence")
    with pytest.raises(KeyError, match="featurize"):
        classifier.train(chosen, "words", head="paper", store=trained.store, runs=trained.runs)


def test_a_wrong_option_is_named_with_the_right_one() -> None:
    with pytest.raises(UsageError, match=r"--max-epoch is no option of the system 'head'.*--max-epochs"):
        classifier.train("sample", "words", max_epoch=3)
