"""What a program or a notebook does with runs: train, evaluate, read predictions, compare, bundle.

In: the names of corpora and features, and folders. Out: a :class:`Run`, which knows its folder, and what is measured.
These are thin functions over those that the commands call, with the commands' defaults; ``import classifier`` offers
them. A run that a command made can be opened here, and the other way round.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from classifier.data.vectors import RAM_BUDGET
from classifier.extract.bundle import write_bundle
from classifier.extract.extractor import Extractor
from classifier.runs.config import RunConfig, read_config, run_corpus, trained_folds
from classifier.runs.errors import ErrorReport, error_report
from classifier.runs.facts import RunFacts, read_run
from classifier.runs.find import find_run, fold_folder, latest_run, run_place
from classifier.runs.overview import ComparedRuns, RunOverview, overview, overview_of
from classifier.runs.overview import compare_runs as compare_folders
from classifier.runs.predicted import PredictionTable, read_table
from classifier.runs.publish import Evaluation
from classifier.runs.results import FoldResult, is_complete, results_of
from classifier.systems.choice import run_config, run_name
from classifier.systems.folds import Announce, AnyPlan, evaluate_fold, plan_fold, train_fold
from classifier.training.config import HEAD
from classifier.training.epoch import RunProgress
from featstore.addresses import spelled
from featstore.copies import on_this_machine
from featstore.corpora.choice import CorpusChoice
from featstore.records import Corpus


class Run:
    """A run: one configuration in one folder, which holds a folder for each trained fold.

    :func:`train` makes one, :func:`open_run` opens one that is there.

    Args:
        folder: the run's folder or its address; it is written when a fold is trained.
        config: what the run is.
        store: the store that holds the vectors of its corpus.
        ram_budget: bytes of vectors to hold in memory.
    """

    def __init__(
        self, folder: str | Path, config: RunConfig, *, store: str | Path = "features", ram_budget: int = RAM_BUDGET
    ) -> None:
        self.folder, self.config, self.store = Path(folder), config, str(store)
        self._ram_budget = ram_budget

    def __repr__(self) -> str:
        return f"Run('{spelled(self.folder)}')"

    @cached_property
    def corpus(self) -> Corpus:
        """The run's corpus, which is loaded when it is first asked for."""
        return run_corpus(self.config)

    @property
    def folds(self) -> tuple[int, ...]:
        """The folds that are trained."""
        return trained_folds(self.folder)

    def plan(self, fold: int = 1) -> AnyPlan:
        """Return what :meth:`train` would do; errors as there."""
        return plan_fold(self.corpus, self.store, self.config, fold, self.folder, ram_budget=self._ram_budget)

    def train(
        self, fold: int = 1, *, announce: Announce | None = None, progress: RunProgress | None = None
    ) -> RunFacts:
        """Train a fold, in the place of what was trained before; return its facts.

        Args:
            fold: the fold.
            announce: called before the first epoch with what will be trained, on how much, and about how long.
            progress: called after each epoch.

        Raises:
            UsageError: the corpus has no such fold, or the loss is no longer a number.
            DataError: a class without training examples, or vectors that are not finite.
            MissingFeatureError: a feature that was not featurized; the text has the command.
        """
        train_fold(
            self.corpus,
            self.store,
            self.config,
            fold,
            self.folder,
            announce=announce,
            progress=progress,
            ram_budget=self._ram_budget,
        )
        return self.facts(fold)

    def evaluate(
        self, fold: int | None = None, *, announce: Announce | None = None, progress: RunProgress | None = None
    ) -> Evaluation:
        """Evaluate a fold on its test part; a fold that is not trained yet is trained first.

        Args:
            fold: the fold; None: the first that is trained.
            announce, progress: see :meth:`train`.

        Raises:
            MismatchError: the corpus has changed since the fold was trained, or the store holds other vectors.
            DataError: the test part is empty or holds an instance without a label.
            UsageError, MissingFeatureError: as :meth:`train`.
        """
        return evaluate_fold(
            self.corpus,
            self.store,
            self.config,
            self._fold(fold),
            self.folder,
            announce=announce,
            progress=progress,
            ram_budget=self._ram_budget,
        )

    def predictions(self, fold: int | None = None) -> PredictionTable:
        """Return the predictions on the test part of a fold, which is evaluated first if it was not yet.

        Args:
            fold: the fold; None: the first that is trained.

        Raises:
            UsageError, DataError, MismatchError, MissingFeatureError: as :meth:`evaluate`.
        """
        number = self._fold(fold)
        if not is_complete(self.folder / f"fold-{number}"):
            self.evaluate(number)
        return read_table(self.folder / f"fold-{number}")

    def facts(self, fold: int | None = None) -> RunFacts:
        """Return what a trained fold's ``run.json`` says: encoders, options, every epoch, versions.

        Raises:
            MissingFileError: the fold is not trained.
        """
        return read_run(fold_folder(self.folder, fold))

    def results(self) -> list[FoldResult]:
        """Return the folds that are trained and evaluated, in order."""
        return results_of(self.folder)

    def errors(self, mistakes: int = 10) -> ErrorReport:
        """Return where the run errs on the test parts of its evaluated folds.

        Args:
            mistakes: how many of its surest mistakes to name.

        Raises:
            UsageError: no fold is evaluated.
            MismatchError: the corpus is no longer the one that was evaluated.
        """
        return error_report(self.folder, mistakes)

    def overview(self) -> RunOverview:
        """Return what the run is and how far it came, with the mean scores of its evaluated folds."""
        return overview_of(self.folder)

    def extractor(self, fold: int | None = None, *, encoders: Sequence[str] = ()) -> Extractor:
        """Return the model of a trained fold, ready to extract relations; see :meth:`Extractor.load`."""
        return Extractor.load(on_this_machine(fold_folder(self.folder, fold)), encoders=encoders)

    def bundle(
        self,
        target: str | Path,
        fold: int | None = None,
        *,
        encoders: Sequence[str] = (),
        with_encoders: bool = True,
        licence: str = "other",
    ) -> Path:
        """Write one folder with the model of a trained fold, its encoders and its card; return the folder.

        Args:
            target: the folder, which must not exist or be empty.
            fold: the fold; None: the first that is trained.
            encoders: ``NAME:PATH`` for each encoder that did not come with featstore.
            with_encoders: whether the encoders' files are copied; otherwise only their identities are named.
            licence: of the model, an SPDX name.

        Raises:
            UsageError: ``target`` holds something, or an encoder is a pickle or too large to copy.
            MissingFileError: the fold is not trained.
            MismatchError: an encoder that is not the one it was trained on.
        """
        write_bundle(
            fold_folder(on_this_machine(self.folder), fold),
            Path(target),
            encoders=encoders,
            with_encoders=with_encoders,
            licence=licence,
        )
        return Path(target)

    def _fold(self, fold: int | None) -> int:
        return fold if fold is not None else (self.folds or self.corpus.folds)[0]


def train(
    corpus: str | CorpusChoice = "sample",
    features: str | None = None,
    *,
    system: str = HEAD,
    fold: int = 1,
    run: str | None = None,
    runs: str | Path = "runs",
    store: str | Path = "features",
    ram_budget: int = RAM_BUDGET,
    announce: Announce | None = None,
    progress: RunProgress | None = None,
    **options: object,
) -> Run:
    """Train a fold and return its run, as ``cli train`` does; a fold that is trained already is trained again.

    Args:
        corpus: its spec, or a choice that says how it is marked as well.
        features: what is read: names of feature sets joined by ``+``; None: what the system reads by default, which is
            ``glove+cse+elmo`` for the head.
        system: ``head``, or another system of :data:`classifier.systems.SYSTEMS`.
        fold: the fold; a corpus with one released split has fold 1.
        run: the run's folder, its address or its name below ``runs``; None: a name made of its configuration.
        runs: the folder of the runs.
        store: the store that holds the vectors.
        ram_budget: bytes of vectors to hold in memory.
        announce: called before the first epoch with what will be trained, on how much, and about how long.
        progress: called after each epoch.
        options: those of the system, such as ``head="paper"``, ``seed=2`` or ``max_epochs=5``; for the head they are
            the fields of :class:`classifier.training.config.TrainConfig`.

    Raises:
        UsageError: an unknown option, one out of range, or a folder that belongs to another configuration.
        DataError: a class without training examples, or vectors that are not finite.
        MissingFeatureError: a feature that was not featurized; the text has the command.
    """
    choice = CorpusChoice(corpus) if isinstance(corpus, str) else corpus
    config = run_config(choice, system, {"features": features, **options})
    folder = Path(runs) / run_name(config) if run is None else run_place(run, Path(runs))
    new = Run(folder, config, store=store, ram_budget=ram_budget)
    new.train(fold, announce=announce, progress=progress)
    return new


def open_run(
    run: str | Path | None = None,
    *,
    runs: str | Path = "runs",
    store: str | Path = "features",
    ram_budget: int = RAM_BUDGET,
) -> Run:
    """Open a run that is there.

    Args:
        run: its folder, its address, or its name below ``runs``; None: the run that was trained last.
        runs: the folder of the runs.
        store: the store that holds the vectors of its corpus.
        ram_budget: bytes of vectors to hold in memory.

    Raises:
        MissingFileError: there is no such run.
        DataError: its configuration is not as it was written.
    """
    folder = latest_run(Path(runs)) if run is None else find_run(str(run), Path(runs))
    return Run(folder, read_config(folder), store=store, ram_budget=ram_budget)


def list_runs(runs: str | Path = "runs") -> list[RunOverview]:
    """Return what every run below a folder is and how far it came, by name."""
    return overview(Path(runs))


def compare_runs(*runs: Run | str | Path) -> ComparedRuns:
    """Compare runs on the folds that all have evaluated: what differs, F1 fold by fold, and paired tests.

    Args:
        runs: at least two, each a run or its folder; the first is held against each of the others.

    Raises:
        UsageError: fewer than two runs, or no evaluated fold in common.
        MismatchError: they are of different corpora, or of different versions of one.
    """
    return compare_folders([run.folder if isinstance(run, Run) else Path(run) for run in runs])
