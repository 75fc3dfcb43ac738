"""What a run's files say, each fact named and typed once: ``run.json`` and ``metrics.json``.

In: JSON that may come from anywhere. Out: values whose every field has its type, or one error that names the field.
The way back is :func:`to_json`. Nothing here needs torch, so that what was trained can be told without loading it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from classifier.data.features import FeatureSpec
from classifier.head.config import HeadConfig
from classifier.scores.metrics import Metrics
from classifier.training.config import TrainConfig
from classifier.training.epoch import Epoch
from featstore.errors import DataError, MismatchError, UsageError
from featstore.files import read_text
from featstore.pairing import Pairing
from featstore.plain import from_plain
from featstore.records import Corpus

FORMAT_VERSION = 2  # 1: projections were not scaled where they are applied, and blinded sentences had tags for nouns
WEIGHTS, RUN, METRICS = "model.safetensors", "run.json", "metrics.json"
_MOST_JSON = 4 << 20  # bytes; the epochs of a long run take a tenth of it

T = TypeVar("T")
Scalar = str | int | float | bool  # what an option of a system may be


@dataclass(frozen=True, slots=True)
class CorpusFacts:
    """A corpus that a head was trained on.

    Attributes:
        spec: what the user named, ``NAME`` or ``NAME:PATH``; in a bundle without the path.
        name: of its reader.
        digest: of its files.
        context: ``tagged`` or ``sentence``.
        indicators: ``tags``, ``replace`` or ``blind``.
    """

    spec: str
    name: str
    digest: str
    context: str
    indicators: str

    @classmethod
    def of(cls, corpus: Corpus) -> CorpusFacts:
        """Return the facts of a corpus that was loaded."""
        return cls(corpus.spec, corpus.name, corpus.digest, corpus.context, corpus.indicators)

    def without_path(self) -> CorpusFacts:
        """Return them without where the corpus lay, which is nobody's business; the sample has no path."""
        name = self.spec.partition(":")[0]
        return self if name == "sample" else replace(self, spec=name)


@dataclass(frozen=True, slots=True)
class PartSizes:
    """Instances of the parts that a training read.

    Attributes:
        train: of the train part.
        dev: of the dev part.
        unlabelled: pairs without labels that a head learnt from besides.
    """

    train: int
    dev: int
    unlabelled: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingFacts:
    """What a training measured.

    Attributes:
        instances: of both parts.
        best_epoch: the epoch whose weights were kept, counted from 1.
        shift: what ``favour`` added to the scores of the positive labels.
        temperature: what ``calibrate`` divided all scores by.
        streamed: whether vectors were streamed from disk; then the order of the batches followed the store's shards.
        seconds: wall time; of a refit that took its choice over from another run, that of the refit alone.
        peak_memory: bytes resident at most; None where the system does not tell.
        epochs: all epochs on the train part alone.
        refit: the loss of each epoch on the train and the dev part together; empty unless the head was fitted anew.
        teacher: digest of the teacher that a head learnt from, and of the pairs without labels; empty without one.
    """

    instances: PartSizes
    best_epoch: int
    shift: float = 0.0
    temperature: float = 1.0
    streamed: bool = False
    seconds: float
    peak_memory: int | None = None
    epochs: tuple[Epoch, ...]
    refit: tuple[float, ...] = ()
    teacher: str = ""

    @property
    def best(self) -> Epoch:
        """The epoch whose weights were kept."""
        return self.epochs[self.best_epoch - 1]


@dataclass(frozen=True, slots=True)
class EvaluationFacts:
    """What an evaluation measured besides its metrics, which are the same whenever a run is repeated.

    Attributes:
        instances: of the test part.
        seconds: to read and score them.
    """

    instances: int
    seconds: float


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """The machine that a head was trained on: its processor's architecture and its operating system."""

    processor: str
    system: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemFacts:
    """A fitted system other than the head.

    Attributes:
        name: of the system (``svm``).
        label: what tables call it (``bert:scibert``).
        options: every option and its value.
        sources: sha256 of each file that it was fitted from besides the corpus and the store (pre-trained weights).
        parameters: how many numbers were fitted.
        files: sha256 of each file of the fitted system, by its name below ``model/``.
    """

    name: str
    label: str
    options: Mapping[str, Scalar]
    sources: Mapping[str, str] = field(default_factory=dict)
    parameters: int
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """The content of ``run.json``: one trained fold.

    Attributes:
        format: version of the form of head and file.
        corpus: the corpus.
        fold: the fold.
        features: what the head, or the other system, reads of the store, in order.
        labels: its labels, in the order of its scores.
        positive: the labels that the corpus's official score counts.
        tags: names of its learned tag vectors, in order.
        pairing: how the pairs were made; None if an early version trained it.
        encoders: for each encoder the facts behind its identity; empty if an early version trained it.
        head: the head's shape; None where another system was fitted.
        config: how the head was trained; None where another system was fitted.
        system: what was fitted in place of a head.
        training: what training measured.
        weights_sha256: digest of the head's ``model.safetensors``.
        versions: of python and the libraries.
        machine: the machine.
        evaluation: what its evaluation measured; None before it.
    """

    format: int
    corpus: CorpusFacts
    fold: int
    features: tuple[FeatureSpec, ...]
    labels: tuple[str, ...]
    positive: tuple[str, ...]
    tags: tuple[str, ...]
    pairing: Pairing | None = None
    encoders: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    head: HeadConfig | None = None
    config: TrainConfig | None = None
    system: SystemFacts | None = None
    training: TrainingFacts
    weights_sha256: str = ""
    versions: Mapping[str, str]
    machine: MachineFacts
    evaluation: EvaluationFacts | None = None

    def __post_init__(self) -> None:
        of_head = None not in (self.head, self.config) and bool(self.weights_sha256)
        if of_head == (self.system is not None):
            raise UsageError("a fold is of a head, with 'head', 'config' and 'weights_sha256', or of another 'system'")

    @property
    def of_head(self) -> tuple[HeadConfig, TrainConfig]:
        """The shape of the head and how it was trained.

        Raises:
            UsageError: another system was fitted.
        """
        if self.head is None or self.config is None:
            name = self.system.name if self.system else "?"
            raise UsageError(f"this is a fold of the system '{name}', and a head is needed here.")
        return self.head, self.config


def read_run(folder: Path) -> RunFacts:
    """Read the ``run.json`` of a fold, or of a bundle.

    Raises:
        MissingFileError: there is none.
        DataError: it is not as it was written.
        MismatchError: a later version of featstore wrote it.
    """
    return read_facts(RunFacts, folder / RUN, FORMAT_VERSION, "`cli train` makes it")


def read_metrics(folder: Path) -> Metrics:
    """Read the ``metrics.json`` of a fold, or of a bundle.

    Raises:
        MissingFileError: there is none.
        DataError: it is not as it was written.
    """
    path, made_by = folder / METRICS, "`cli eval` makes it"
    return from_plain(Metrics, read_json(path, made_by), f"{path} is not as it was written")


def read_facts(kind: type[T], path: Path, latest: int, made_by: str) -> T:
    """Read a file of facts that states its format.

    Args:
        kind: the class of the facts.
        path: the file.
        latest: the latest format that this version reads.
        made_by: what makes such a file, for the message.

    Raises:
        MissingFileError: there is none.
        DataError: it is not as it was written.
        MismatchError: a later version of featstore wrote it.
    """
    found = read_json(path, made_by)
    version = found.get("format") if isinstance(found, dict) else None
    if isinstance(version, int) and version > latest:
        raise MismatchError(f"{path} has format {version}; this version reads {latest}. Update featstore.")
    return from_plain(kind, found, f"{path} is not as it was written ({made_by})")


def read_json(path: Path, made_by: str) -> Any:
    """Read a JSON file that may come from anywhere.

    Args:
        path: the file.
        made_by: what makes such a file, for the message.

    Raises:
        MissingFileError: there is no such file.
        DataError: it is not JSON, too large, or nested too deeply.
    """
    text = read_text(path, f"; {made_by}.", most=_MOST_JSON)
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"{path} is not JSON: {error}; {made_by}.") from error


def to_json(value: object) -> bytes:
    """Return facts, or plain data, as readable JSON; a NaN is refused."""
    plain = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
    return (json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")
