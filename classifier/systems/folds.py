"""One fold of a run of any system: fitted, and evaluated, in the run's folder or at its address.

In: a corpus, the root of a store, a :class:`~classifier.runs.config.RunConfig`, a fold, and where the run lies. Out,
there, what :mod:`classifier.runs.folds` writes for a head and :mod:`classifier.systems.fitting` for another system, so
that callers need not ask which system a run has. :mod:`classifier.runs.workplace` brings and puts a run at an address.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from classifier.data.vectors import RAM_BUDGET
from classifier.runs import folds as head_folds
from classifier.runs.config import RunConfig
from classifier.runs.facts import TrainingFacts, read_run
from classifier.runs.publish import Evaluation, tested_part
from classifier.runs.target import fold_target
from classifier.runs.workplace import Workplace, working_at
from classifier.systems.choice import check_run
from classifier.systems.fitting import SystemPlan, evaluate_system, fit_system, plan_system
from classifier.systems.teacher import teacher_of
from classifier.systems.trained import chosen_before
from classifier.training.epoch import Notice, RunProgress, silent
from classifier.training.estimate import TrainingPlan
from classifier.training.resume import forget_unfinished
from featstore.addresses import spelled
from featstore.records import Corpus

AnyPlan = TrainingPlan | SystemPlan
Announce = Callable[[AnyPlan], None]


def plan_fold(
    corpus: Corpus, store_root: str | Path, config: RunConfig, fold: int, run_dir: Path, *, ram_budget: int = RAM_BUDGET
) -> AnyPlan:
    """Return what :func:`train_fold` would do with the same arguments, and write nothing.

    Raises:
        UsageError, DataError, MissingFeatureError: as :func:`train_fold`, before its first epoch.
    """
    check_run(config, corpus, run_dir)
    place = fold_target(run_dir, fold, config).work_folder
    chosen = chosen_before(corpus, store_root, config, fold, run_dir)
    if config.system:
        return plan_system(corpus, store_root, config, config.system, fold, place, chosen=chosen)
    teacher = teacher_of(config, corpus, store_root, fold)
    return head_folds.plan_fold(
        corpus, store_root, config, fold, place, teacher=teacher, chosen=chosen, ram_budget=ram_budget
    )


def train_fold(
    corpus: Corpus,
    store_root: str | Path,
    config: RunConfig,
    fold: int,
    run_dir: Path,
    *,
    announce: Announce | None = None,
    progress: RunProgress | None = None,
    ram_budget: int = RAM_BUDGET,
) -> TrainingFacts:
    """Fit one fold of any system, write its files and return what the fit measured.

    Args:
        corpus: loaded as ``config`` says.
        store_root: the store that holds the vectors that the system reads; others need none.
        config: the run.
        fold: the fold.
        run_dir: the run's folder, or its address.
        announce: called before the first epoch with what will be fitted.
        progress: called after each epoch, and with what the user should know.
        ram_budget: bytes of vectors to hold in memory.

    Raises:
        UsageError: no such fold, a folder that belongs to another configuration, ..
        DataError: a class without training examples, ..
        MissingFeatureError: a feature that was not featurized.
        MismatchError: somebody else has written the fold at the address in the meantime.
        ResourceError: no room, no permission, or an address that cannot be reached.
    """
    tell = progress or silent
    check_run(config, corpus, run_dir)
    with working_at(fold_target(run_dir, fold, config), tell) as work:
        if not work.is_late:
            _fit(work, corpus, store_root, config, fold, run_dir, announce, tell, ram_budget)
        _put(work, config, corpus, run_dir, fold, tell)
        return read_run(work.folder).training


def evaluate_fold(
    corpus: Corpus,
    store_root: str | Path,
    config: RunConfig,
    fold: int,
    run_dir: Path,
    *,
    announce: Announce | None = None,
    progress: RunProgress | None = None,
    ram_budget: int = RAM_BUDGET,
) -> Evaluation:
    """Evaluate one fold of any system on its test part; it is fitted first if it is not yet.

    Args:
        corpus, store_root, config, fold, run_dir, announce, progress, ram_budget: as those of :func:`train_fold`.

    Raises:
        MismatchError: the corpus has changed since the fold was fitted, or the store holds other vectors.
        DataError: the test part is empty or holds an instance without a label.
        UsageError, MissingFeatureError, ResourceError: as :func:`train_fold`.
    """
    tell = progress or silent
    check_run(config, corpus, run_dir)
    tested_part(corpus, fold)  # one that cannot be evaluated is refused before it is fitted
    with working_at(fold_target(run_dir, fold, config), tell) as work:
        if work.bring():
            forget_unfinished(work.folder)  # of a fit that was killed as it finished
        else:
            tell(Notice(f"fold {fold} of {spelled(run_dir)} is not trained yet; training it first."))
            _fit(work, corpus, store_root, config, fold, run_dir, announce, tell, ram_budget)
            _put(work, config, corpus, run_dir, fold, tell)
        if config.system:
            evaluation = evaluate_system(corpus, store_root, config, fold, work.run_dir)
        else:
            evaluation = head_folds.evaluate_fold(corpus, store_root, config, fold, work.run_dir, ram_budget=ram_budget)
        _put(work, config, corpus, run_dir, fold, tell)
        return evaluation


def _fit(
    work: Workplace,
    corpus: Corpus,
    store_root: str | Path,
    config: RunConfig,
    fold: int,
    run_dir: Path,
    announce: Announce | None,
    progress: RunProgress,
    ram_budget: int,
) -> None:
    """Fit a fold where it is worked on; ``run_dir`` is where its run lies."""
    teacher = None if config.system else teacher_of(config, corpus, store_root, fold)
    chosen = chosen_before(corpus, store_root, config, fold, run_dir, tell=progress)
    work.begin()
    if config.system:
        fit_system(
            corpus,
            store_root,
            config,
            config.system,
            fold,
            work.run_dir,
            chosen=chosen,
            announce=announce,
            progress=progress,
        )
        return
    head_folds.train_fold(
        corpus,
        store_root,
        config,
        fold,
        work.run_dir,
        teacher=teacher,
        chosen=chosen,
        announce=announce,
        progress=progress,
        ram_budget=ram_budget,
    )


def _put(work: Workplace, config: RunConfig, corpus: Corpus, run_dir: Path, fold: int, tell: RunProgress) -> None:
    """Put a finished fold where its run lies; its address may have become another run's in the meantime."""
    check_run(config, corpus, run_dir)
    if work.is_late:
        tell(Notice(f"fold {fold} was finished before, and is now put at {spelled(run_dir)}."))
    work.put()
