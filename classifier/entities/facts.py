"""What a tagger's files say, each fact named and typed once: ``tagger.json`` and ``metrics-CORPUS.json``.

In: JSON that may come from anywhere. Out: values whose every field has its type, or one error that names the field, as
:mod:`classifier.runs.facts` reads those of a run. Nothing here needs torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from classifier.data.features import FeatureSpec
from classifier.entities.config import NetworkConfig, TaggerConfig
from classifier.entities.scores import MentionScore, MentionScores
from classifier.runs.facts import read_facts, read_json
from featstore.plain import from_plain

FORMAT_VERSION = 1
WEIGHTS, FACTS = "model.safetensors", "tagger.json"
METRICS = "metrics-*.json"  # one for each evaluation
MADE_BY = "`cli entities train` makes it"
TEST = "test"


@dataclass(frozen=True, slots=True)
class TaggerEpoch:
    """What one epoch did.

    Attributes:
        number: counted from 1.
        of: how many epochs there will be.
        train_loss: mean loss of a sentence, each before its step.
        dev_f1: mean over the corpora of exact micro-F1 on their dev parts; None if the dev parts are trained on.
        best: whether these are the weights to keep so far.
        seconds: of the epoch, evaluation included.
    """

    number: int
    of: int
    train_loss: float
    dev_f1: float | None
    best: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class TrainedCorpus:
    """A corpus that a tagger was trained on.

    Attributes:
        name: of its reader; its path is private.
        digest: of its files.
        types: that it annotates.
        documents: trained on.
        sentences: in them.
    """

    name: str
    digest: str
    types: tuple[str, ...]
    documents: int
    sentences: int


@dataclass(frozen=True, slots=True)
class TaggerTraining:
    """What the training of a tagger measured.

    Attributes:
        best_epoch: the epoch whose weights were kept, counted from 1.
        left_out: documents that were not trained on because a part that is held out has them too.
        seconds: wall time.
        peak_memory: bytes resident at most; None where the system does not tell.
        epochs: all epochs.
    """

    best_epoch: int
    left_out: int
    seconds: float
    peak_memory: int | None
    epochs: tuple[TaggerEpoch, ...]

    @classmethod
    def of(
        cls, epochs: Sequence[TaggerEpoch], *, left_out: int, seconds: float, peak_memory: int | None
    ) -> TaggerTraining:
        """Return what these epochs measured; the last one that is ``best`` was kept."""
        best = max(epoch.number for epoch in epochs if epoch.best)
        return cls(best, left_out, seconds, peak_memory, tuple(epochs))

    @property
    def best(self) -> TaggerEpoch:
        """The epoch whose weights were kept."""
        return self.epochs[self.best_epoch - 1]


@dataclass(frozen=True, slots=True)
class TaggerFacts:
    """The content of ``tagger.json``.

    Attributes:
        format: version of the form of network and file.
        features: what the tagger reads, in order.
        encoders: for each encoder the facts behind its identity.
        corpora: what it was trained on.
        network: its shape.
        config: how it was trained; its corpora without their paths.
        training: what training measured.
        fingerprint: of all that its answers depend on.
        weights_sha256: digest of ``model.safetensors``.
        versions: of python and the libraries.
    """

    format: int
    features: tuple[FeatureSpec, ...]
    encoders: Mapping[str, Mapping[str, object]]
    corpora: tuple[TrainedCorpus, ...]
    network: NetworkConfig
    config: TaggerConfig
    training: TaggerTraining
    fingerprint: str
    weights_sha256: str
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class MeasuredType:
    """The score of one type with its ratios, as files hold it; see :class:`MentionScore`."""

    annotated: int
    found: int
    right: int
    recalled: int
    precision: float | None
    recall: float | None
    f1: float | None

    @classmethod
    def of(cls, score: MentionScore) -> MeasuredType:
        """Return a score with its ratios."""
        counts = (score.annotated, score.found, score.right, score.recalled)
        return cls(*counts, score.precision, score.recall, score.f1)


@dataclass(frozen=True, slots=True)
class MeasuredMentions:
    """The scores of a tagger, as files hold them.

    Attributes:
        exact: by type, and under ``all`` over all types together.
        relaxed: the same with overlap for a match.
    """

    exact: Mapping[str, MeasuredType]
    relaxed: Mapping[str, MeasuredType]

    @classmethod
    def of(cls, scores: MentionScores) -> MeasuredMentions:
        """Return scores with their ratios."""
        exact, relaxed = ({t: MeasuredType.of(s) for t, s in kind.items()} for kind in (scores.exact, scores.relaxed))
        return cls(exact, relaxed)


@dataclass(frozen=True, slots=True)
class TaggerMetrics:
    """The content of ``metrics-CORPUS.json``: one evaluation.

    Attributes:
        corpus: the corpus.
        part: the part of it.
        exact, relaxed: see :class:`MeasuredMentions`.
    """

    corpus: str
    part: str
    exact: Mapping[str, MeasuredType]
    relaxed: Mapping[str, MeasuredType]


def read_tagger(folder: Path) -> TaggerFacts:
    """Read the ``tagger.json`` of a tagger.

    Raises:
        MissingFileError: there is none.
        DataError: it is damaged or changed.
        MismatchError: a later version of featstore wrote it.
    """
    return read_facts(TaggerFacts, folder / FACTS, FORMAT_VERSION, MADE_BY)


def metrics_file(corpus: str, part: str) -> str:
    """Return the name of the file with the figures of an evaluation."""
    return f"metrics-{corpus}.json" if part == TEST else f"metrics-{corpus}-{part}.json"


def metrics_files(folder: Path) -> Sequence[Path]:
    """Return the files with figures of evaluations in a tagger's folder, by name."""
    return sorted(folder.glob(METRICS))


def read_tested(folder: Path) -> list[TaggerMetrics]:
    """Read the evaluations of a tagger on test parts.

    Raises:
        DataError: a damaged or changed file.
    """
    files = [(path, read_json(path, "`cli entities eval` makes it")) for path in metrics_files(folder)]
    found = [from_plain(TaggerMetrics, plain, f"{path} is damaged or was changed") for path, plain in files]
    return [metrics for metrics in found if metrics.part == TEST]
