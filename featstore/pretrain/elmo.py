"""``pretrain elmo``: text files, and perhaps a model that goes on learning, to a folder that ``elmo:DIR`` takes.

In: :class:`ELMoConfig`. Out: ``options.json`` and ``weights.hdf5`` as AllenNLP reads them, ``softmax.safetensors``
(which only measuring perplexity needs), a model card, and below ``training/`` the vocabulary, the checkpoint and the
log.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch

from featstore.encoders.bilm import OPTIONS, WEIGHTS, BiLMConfig, load_elmo, save_elmo
from featstore.errors import DataError, UsageError
from featstore.files import write_file
from featstore.fingerprint import file_sha256
from featstore.pretrain.adaptive import SOFTMAX, load_softmax, save_softmax
from featstore.pretrain.bilm import BiLMTask, TrainedBiLM
from featstore.pretrain.card import read_log, settings_of, write_card
from featstore.pretrain.checkpoint import training_folder
from featstore.pretrain.config import PretrainConfig
from featstore.pretrain.loop import LOG, train
from featstore.pretrain.parallel import Group, ParallelJob, choose_device, run_jobs
from featstore.pretrain.schedule import PretrainProgress, Schedule
from featstore.pretrain.sentences import count_tokens, learn_words, pieces

VOCABULARY = "vocabulary.json"


def _schedule() -> Schedule:
    return Schedule(learning_rate=2e-3, warmup=200, clip=1.0, evaluate_every=250, checkpoint_every=125)


@dataclass(frozen=True, slots=True, kw_only=True)
class ELMoConfig(PretrainConfig):
    """A training of a bidirectional word language model. The defaults are those of the bundled one.

    Attributes:
        start: folder of a model that goes on learning, its softmax with it; its sizes and its vocabulary then take the
            place of those below. None: begin with random weights.
        dim: units of each LSTM.
        projection_dim: width of the token layer and of each direction's output.
        n_layers: LSTM layers in each direction.
        char_dim: width of a character's embedding.
        filters: width and number of the character convolutions.
        n_highway: highway layers.
        max_characters: number of characters of a token that are read, including its two markers.
        cell_clip, proj_clip: bounds of the LSTMs' cells and outputs.
        dropout: share of the LSTMs' inputs and outputs that is dropped in training.
        vocabulary: number of words that the softmax predicts; the most frequent ones are taken.
        least: number of occurrences that such a word needs.
        tokens: number of tokens in a batch, summed over all processes.
        max_tokens: length of the longest sentence; longer ones are read in pieces.

    See :class:`~featstore.pretrain.config.PretrainConfig` for the rest.

    Raises:
        UsageError: a value is out of range, or ``out`` is ``start``.
    """

    start: Path | None = None
    dim: int = 512
    projection_dim: int = 128
    n_layers: int = 2
    char_dim: int = 16
    filters: tuple[tuple[int, int], ...] = ((1, 32), (2, 32), (3, 64), (4, 128), (5, 256))
    n_highway: int = 1
    max_characters: int = 50
    cell_clip: float = 3.0
    proj_clip: float = 3.0
    dropout: float = 0.0
    vocabulary: int = 40_000
    least: int = 5
    tokens: int = 2048
    max_tokens: int = 60
    schedule: Schedule = field(default_factory=_schedule)

    def __post_init__(self) -> None:
        PretrainConfig.__post_init__(self)
        sizes = (self.vocabulary, self.tokens, self.max_tokens, self.processes)
        if not self.text or min(sizes) < 1 or not 0 <= self.dropout < 1:
            raise UsageError("pre-training needs at least one text file, sizes of at least 1, and dropout below 1.")
        if self.start is not None and self.out.resolve() == self.start.resolve():
            raise UsageError(f"{self.out} holds the model to start from; name another folder for the new one.")
        try:
            self.model()
        except ValueError as error:
            raise UsageError(f"no ELMo has these sizes: {error}.") from error

    def model(self) -> BiLMConfig:
        """The network's settings, as ``options.json`` holds them."""
        return BiLMConfig(
            char_dim=self.char_dim,
            filters=self.filters,
            n_highway=self.n_highway,
            activation="relu",
            max_characters=self.max_characters,
            dim=self.dim,
            projection_dim=self.projection_dim,
            n_layers=self.n_layers,
            cell_clip=self.cell_clip,
            proj_clip=self.proj_clip,
            use_skip_connections=True,
        )


def pretrain_elmo(config: ELMoConfig, progress: Callable[[PretrainProgress], None] | None = None) -> dict[str, Any]:
    """Train and write a word biLM. An interrupted training goes on.

    Args:
        progress: called in this process with the state of the training, about twice a second.

    Returns:
        the encoder's spec, the folder and the log.

    Raises:
        MissingFileError, DataError: the text is missing, is not UTF-8, or is too short; or the model to start from is
            missing, damaged or of another form.
        MismatchError: ``out`` holds a checkpoint of a training with different settings.
        ResourceError: the disk is full, or a process was killed.
    """
    start = None if config.start is None else _load_start(config.start)
    if start is not None:
        config = _of_sizes(config, start.lm.config)
    training = training_folder(config.out, fresh=config.fresh)
    vocabulary, units = _vocabulary(config, training / VOCABULARY, start)
    steps = config.schedule.total(units, config.tokens)
    run_jobs([ParallelJob(_train, (config, vocabulary, steps), config.processes)], progress)
    log = read_log(training / LOG)
    facts: dict[str, object] = {"steps": steps, "vocabulary": len(vocabulary)}
    if start is not None:
        facts["start"] = f"{WEIGHTS} {start.files[WEIGHTS]}"
    write_card(
        config.out,
        title="Bidirectional word language model (ELMo)",
        method="Peters et al. 2018, Deep contextualized word representations",
        source=config.source,
        settings=settings_of(config) | facts,
        logs={"elmo": log},
        files=(config.out / OPTIONS, config.out / WEIGHTS, config.out / SOFTMAX),
    )
    return {"encoder": f"elmo:{config.out}", "folder": str(config.out), "log": log}


def _load_start(folder: Path) -> TrainedBiLM:
    """Read the model that the training goes on from."""
    lm = load_elmo(folder)
    softmax = load_softmax(folder, lm.config.projection_dim)
    return TrainedBiLM(lm, softmax, {name: file_sha256(folder / name) for name in (OPTIONS, WEIGHTS, SOFTMAX)})


def _of_sizes(config: ELMoConfig, model: BiLMConfig) -> ELMoConfig:
    """Return a configuration with the sizes of the model that it starts from.

    Raises:
        DataError: it is of a form that is not trained here.
    """
    sizes = {f.name: getattr(model, f.name) for f in fields(BiLMConfig) if f.name in {g.name for g in fields(config)}}
    sized = replace(config, **sizes)
    if sized.model() != model:
        raise DataError(f"{config.start}: only an ELMo with ReLU and skip connections can be trained further.")
    return sized


def _vocabulary(config: ELMoConfig, path: Path, start: TrainedBiLM | None) -> tuple[tuple[str, ...], int]:
    """Return the words and the length of the text in tokens, found once and then read from ``path``.

    A model that goes on learning keeps its words, so the text may be short and need not hold many others.
    """
    facts: dict[str, object] = {"longest": config.max_tokens, **config.source.facts()}
    if start is None:
        facts |= {"size": config.vocabulary, "least": config.least}
    else:
        facts |= {"start": start.files[SOFTMAX]}
    if path.exists():
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["facts"] == facts:
            return tuple(kept["words"]), kept["units"]
    text = pieces(config.source.one_pass(), config.max_tokens)
    if start is None:
        words, units = learn_words(text, config.vocabulary, config.least)
    else:
        words, units = start.softmax.words, count_tokens(text)
    write_file(path, json.dumps({"facts": facts, "words": words, "units": units}).encode("utf-8"))
    return words, units


def _train(
    config: ELMoConfig,
    vocabulary: tuple[str, ...],
    steps: int | None,
    group: Group,
    report: Callable[[PretrainProgress], None] | None,
) -> None:
    """Train in this process and write the files."""
    torch.manual_seed(config.schedule.seed)
    task = BiLMTask(
        config.model(),
        vocabulary,
        config.source,
        dropout=config.dropout,
        tokens=config.tokens,
        max_tokens=config.max_tokens,
        precision=config.precision,
        group=group,
        device=choose_device(config.device),
        start=None if config.start is None else _load_start(config.start),
    )
    torch.manual_seed(config.schedule.seed + group.rank)  # the same weights everywhere, but other dropout
    train(task, config.schedule, steps, config.out / "training", report, group)
    if group.rank == 0:
        save_elmo(config.out, task.trained(), dtype=config.dtype)
        save_softmax(config.out, task.softmax(), config.dtype)
