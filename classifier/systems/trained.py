"""Whether a fold is trained already, as a training now would train it, so that it need not be trained again.

In: what :func:`classifier.systems.folds.train_fold` is given. Out: a :class:`TrainedFold`, or None and a notice that
says why the fold that is there is not the one that a training would make.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from classifier.data.features import open_features
from classifier.data.split import training_parts
from classifier.data.vectors import DistinctSentences
from classifier.runs.config import CARD, CONFIG, RunConfig
from classifier.runs.facts import CorpusFacts, TrainingFacts, read_run
from classifier.runs.prepare import featurize_command
from classifier.runs.target import fold_target
from classifier.runs.workplace import Workplace, working_at
from classifier.systems.choice import check_run, options_of, run_name, without_refit
from classifier.systems.saved import load_model
from classifier.systems.table import find_system
from classifier.systems.teacher import teacher_of
from classifier.training.epoch import Notice, TellNotice, silent
from classifier.training.resume import UNFINISHED
from featstore.addresses import files_below, spelled
from featstore.errors import DataError, MismatchError, MissingFileError, UsageError
from featstore.records import Corpus


@dataclass(frozen=True, slots=True)
class TrainedFold:
    """A fold that is trained to the end.

    Attributes:
        training: what its training measured.
        ended: when its training ended, in the time zone of this machine.
    """

    training: TrainingFacts
    ended: datetime


def trained_fold(
    corpus: Corpus,
    store_root: str | Path,
    config: RunConfig,
    fold: int,
    run_dir: Path,
    *,
    tell: TellNotice,
) -> TrainedFold | None:
    """Return a fold if it is trained already, and a training now would be on the same corpus and the same vectors.

    It is None too where an interrupted training has begun in its place, or was cut as it wrote its last files.

    Args:
        corpus, store_root, config, fold, run_dir: as those of :func:`classifier.systems.folds.train_fold`.
        tell: is told why a fold that is there has to be trained again.

    Raises:
        UsageError: the folder belongs to another configuration.
        MissingFeatureError: a feature that was not featurized.
        ResourceError: an address that cannot be reached.
    """
    check_run(config, corpus, run_dir)
    with working_at(fold_target(run_dir, fold, config), tell) as work:
        is_begun = work.is_late or (work.folder / UNFINISHED).exists()
        if is_begun or not work.bring() or not (work.folder / CARD).exists():
            return None
        if reason := _difference(work, corpus, store_root, config, fold):
            tell(Notice(f"fold {fold} of {spelled(run_dir)} is trained, but {reason}; it has to be trained again."))
            return None
        training = read_run(work.folder).training
    ended = files_below(run_dir / f"fold-{fold}").get(CONFIG, 0.0)
    return TrainedFold(training, datetime.fromtimestamp(ended).astimezone())


def chosen_before(
    corpus: Corpus, store_root: str | Path, config: RunConfig, fold: int, run_dir: Path, *, tell: TellNotice = silent
) -> TrainingFacts | None:
    """Return what the run without ``refit`` beside a run with it measured, so that nothing has to be chosen again.

    It is the run that would have the same name by default, but for ``refit``. Where there is none, it differs in more
    than that, or the system does not choose an epoch alone, the result is None.

    Args:
        corpus, store_root, config, fold, run_dir: as those of :func:`classifier.systems.folds.train_fold`.
        tell: is told what is taken over.

    Raises:
        MissingFeatureError: a feature that was not featurized.
        ResourceError: an address that cannot be reached.
    """
    takes_over = config.system is None or find_system(config.system.name).options.CHOOSES_EPOCH
    if not (config.refit and takes_over):
        return None
    plain = without_refit(config)
    beside = run_dir.parent / run_name(plain)
    try:
        found = trained_fold(corpus, store_root, plain, fold, beside, tell=silent)
    except UsageError:
        return None  # the folder is another run's
    if found is None:
        return None
    tell(
        Notice(
            f"{spelled(beside)} is the same run without --refit, so epoch {found.training.best_epoch}, which its dev "
            "part has chosen, is taken over; the training on both parts is what is left."
        )
    )
    return found.training


def _difference(work: Workplace, corpus: Corpus, store_root: str | Path, config: RunConfig, fold: int) -> str:
    """Return how a trained fold differs from what a training now would make; empty if it does not."""
    try:
        facts, model = read_run(work.folder), load_model(work.folder, "cpu")
    except (DataError, MismatchError, MissingFileError, UsageError):
        return "its files are damaged or of another version"
    if facts.corpus != CorpusFacts.of(corpus):
        return "the corpus has changed since"
    share = config.train.dev_share
    if config.system and facts.system:
        options = options_of(config.system)
        if find_system(config.system.name).sources(options) != facts.system.sources:
            return "the files have changed that it was fitted from"
        share = options.dev_share
    if (digest := facts.training.teacher) and _is_taught_otherwise(config, corpus, store_root, fold, digest):
        return "its teacher or the pairs without labels have changed since"
    instances = [corpus.instances[position] for part in training_parts(corpus, fold, share) for position in part]
    keys, command = DistinctSentences.of(instances).keys, featurize_command(config, store_root)
    try:
        with open_features(model.parsed_features, store_root, keys, command, facts.features):
            return ""
    except MismatchError:
        return "the store holds vectors of another encoder"


def _is_taught_otherwise(config: RunConfig, corpus: Corpus, store_root: str | Path, fold: int, digest: str) -> bool:
    """Tell whether a training now would have another teacher, or other pairs without labels.

    Args:
        config, corpus, store_root, fold: as those of :func:`trained_fold`.
        digest: of the teacher and the pairs that the fold was trained with.
    """
    try:
        teacher = teacher_of(config, corpus, store_root, fold)
    except MissingFileError:
        return False  # a fold stays what it is when its teacher is deleted
    except (MismatchError, UsageError):
        return True  # the training says why the teacher that is there now does not suit
    return teacher is None or teacher.fingerprint != digest
