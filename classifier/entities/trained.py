"""Whether a tagger is trained already, as a training now would train it, so that it need not be trained again.

In: what :func:`classifier.entities.runs.train_tagger` is given. Out: a :class:`TrainedTagger`, or None and a notice
that says why the tagger that is there is not the one that a training would make.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from classifier.data.features import open_features
from classifier.entities.batch import distinct
from classifier.entities.checkpoint import TaggerCheckpoint, load_tagger
from classifier.entities.config import TaggerConfig
from classifier.entities.corpora import MentionCorpus
from classifier.entities.facts import FACTS, TaggerTraining
from classifier.entities.parts import training_parts
from classifier.entities.place import CARD, check_tagger_folder, tagger_target
from classifier.entities.prepare import featurize_command
from classifier.runs.workplace import working_at
from classifier.training.epoch import Notice, TellNotice
from classifier.training.resume import UNFINISHED
from featstore.addresses import files_below, spelled
from featstore.errors import DataError, MismatchError, MissingFileError


@dataclass(frozen=True, slots=True)
class TrainedTagger:
    """A tagger that is trained to the end.

    Attributes:
        training: what its training measured.
        ended: when its training ended, in the time zone of this machine.
    """

    training: TaggerTraining
    ended: datetime


def trained_tagger(
    corpora: Sequence[MentionCorpus],
    store_root: str | Path,
    config: TaggerConfig,
    folder: Path,
    *,
    tell: TellNotice,
) -> TrainedTagger | None:
    """Return a tagger if it is trained already, and a training now would be on the same corpora and the same vectors.

    It is None too where an interrupted training has begun in its place, or was cut as it wrote its last files.

    Args:
        corpora, store_root, config, folder: as those of :func:`classifier.entities.runs.train_tagger`.
        tell: is told why a tagger that is there has to be trained again.

    Raises:
        UsageError: the folder holds a tagger of another configuration.
        DataError, MismatchError: what the folder's ``tagger.json`` says cannot be read.
        MissingFeatureError: a feature that was not featurized.
        ResourceError: an address that cannot be reached.
    """
    check_tagger_folder(folder, config)
    with working_at(tagger_target(folder, config), tell) as work:
        is_begun = work.is_late or (work.folder / UNFINISHED).exists()
        if is_begun or not work.bring() or not (work.folder / CARD).exists():
            return None
        try:
            checkpoint = load_tagger(work.folder)
        except (DataError, MismatchError, MissingFileError):
            reason = "its files are damaged or of another version"
        else:
            reason = _difference(checkpoint, corpora, store_root)
    if reason:
        tell(Notice(f"the tagger in {spelled(folder)} is trained, but {reason}; it has to be trained again."))
        return None
    ended = files_below(folder).get(FACTS, 0.0)
    return TrainedTagger(checkpoint.training, datetime.fromtimestamp(ended).astimezone())


def _difference(checkpoint: TaggerCheckpoint, corpora: Sequence[MentionCorpus], store_root: str | Path) -> str:
    """Return how a tagger differs from what a training now would make; empty if it does not."""
    learnt = zip(corpora, checkpoint.corpora, strict=True)  # the configuration names as many
    changed = [corpus.spec for corpus, before in learnt if corpus.digest != before.digest]
    if changed:
        return f"{' and '.join(changed)} {'has' if len(changed) == 1 else 'have'} changed since"
    config, features = checkpoint.config, checkpoint.parsed_features
    keys = distinct(training_parts(corpora, config.with_dev).sentences).keys
    command = featurize_command(features, [corpus.spec for corpus in corpora], store_root)
    try:
        with open_features(features, store_root, keys, command, checkpoint.features):
            return ""
    except MismatchError:
        return "the store holds vectors of another encoder"
