"""``pretrain cse``: text files, and perhaps a pair that goes on learning, to a folder that ``cse:DIR`` takes.

In: :class:`CSEConfig`. Out: ``forward.safetensors`` and ``backward.safetensors`` with a model card, and below
``training/`` the checkpoints and logs. The two directions are two models that share only the list of characters, so
they are trained at the same time, each in a process of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from featstore.encoders.charlm import CharLMConfig
from featstore.encoders.charlm_file import find_charlm, load_charlm, save_charlm
from featstore.errors import DataError, UsageError, check_choice
from featstore.files import write_file
from featstore.fingerprint import file_sha256
from featstore.pretrain.card import read_log, settings_of, write_card
from featstore.pretrain.charlm import CharLMTask, count_characters, learn_characters
from featstore.pretrain.checkpoint import training_folder
from featstore.pretrain.config import PretrainConfig
from featstore.pretrain.loop import LOG, train
from featstore.pretrain.parallel import Group, ParallelJob, choose_device, run_jobs
from featstore.pretrain.schedule import PretrainProgress

DIRECTIONS = ("forward", "backward")
CHARACTERS = "characters.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class CSEConfig(PretrainConfig):
    """A training of character language models. The defaults are those of the bundled pair.

    Attributes:
        start: folder of models that go on learning, flair's ``.pt`` or ours, each with its output layer; their sizes
            and characters then take the place of those below. None: begin with random weights.
        direction: ``forward``, ``backward`` or ``both``.
        hidden_size: units of each LSTM layer; the width of one direction's vectors.
        nlayers: LSTM layers.
        embedding_size: width of a character's embedding.
        dropout: share of inputs and outputs of the LSTM that is dropped in training.
        least: number of occurrences that a character needs to enter the dictionary.
        streams: streams of text side by side.
        length: characters between two cuts of the gradient.
        flair: also write ``.pt`` files, for flair's ``FlairEmbeddings``.

    See :class:`~featstore.pretrain.config.PretrainConfig` for the rest.

    Raises:
        UsageError: a value is out of range, or ``out`` is ``start``.
    """

    start: Path | None = None
    direction: str = "both"
    hidden_size: int = 512
    nlayers: int = 1
    embedding_size: int = 64
    dropout: float = 0.0
    least: int = 25
    streams: int = 64
    length: int = 128
    flair: bool = False

    def __post_init__(self) -> None:
        check_choice("direction", self.direction, (*DIRECTIONS, "both"))
        PretrainConfig.__post_init__(self)
        sizes = (self.hidden_size, self.nlayers, self.embedding_size, self.streams, self.length, self.processes)
        if not self.text or min(sizes) < 1 or not 0 <= self.dropout < 1:
            raise UsageError("pre-training needs at least one text file, sizes of at least 1, and dropout below 1.")
        if self.streams % self.processes:
            raise UsageError(f"{self.streams} streams cannot be shared evenly by {self.processes} processes.")
        if self.start is not None and self.out.resolve() == self.start.resolve():
            raise UsageError(f"{self.out} holds the models to start from; name another folder for the new ones.")

    @property
    def directions(self) -> tuple[str, ...]:
        """The directions to train."""
        return DIRECTIONS if self.direction == "both" else (self.direction,)


def pretrain_cse(config: CSEConfig, progress: Callable[[PretrainProgress], None] | None = None) -> dict[str, Any]:
    """Train and write character language models. An interrupted training goes on.

    Args:
        progress: called in this process with the state of each direction, about twice a second.

    Returns:
        for each direction the path of its file and its log; under ``encoder`` the encoder's spec, or None if the other
        direction is still missing.

    Raises:
        MissingFileError, DataError: the text is missing, is not UTF-8, or is too short; or a model to start from is
            missing, damaged or of another form.
        MismatchError: ``out`` holds checkpoints of a training with different settings.
        ResourceError: the disk is full, or a process was killed.
    """
    # Loaded first, so that a fault is told before all the text is read.
    started = {} if config.start is None else {d: _start_model(config.start, d) for d in config.directions}
    training = training_folder(config.out, fresh=config.fresh)
    characters, units = _characters(config, training / CHARACTERS)
    steps = config.schedule.total(units, config.streams * config.length)
    models = [
        replace(started[direction], dropout=config.dropout) if started else _new_model(config, direction, characters)
        for direction in config.directions
    ]
    jobs = [ParallelJob(_train_direction, (config, model, steps), config.processes) for model in models]
    run_jobs(jobs, progress)
    files = {direction: config.out / f"{direction}.safetensors" for direction in config.directions}
    logs = {direction: read_log(training / direction / LOG) for direction in files}
    write_card(
        config.out,
        title="Character language models for contextual string embeddings",
        method="Akbik et al. 2018, Contextual String Embeddings for Sequence Labeling",
        source=config.source,
        settings=settings_of(config) | _facts(config, models[0]) | {"steps": steps},
        logs=logs,
        files=tuple(files.values()),
    )
    whole = all((config.out / f"{direction}.safetensors").exists() for direction in DIRECTIONS)
    trained = {direction: {"file": str(path), "log": logs[direction]} for direction, path in files.items()}
    return {"encoder": f"cse:{config.out}" if whole else None, **trained}


def _facts(config: CSEConfig, model: CharLMConfig) -> dict[str, object]:
    """Return what the card says of the models: their sizes, and what they started from."""
    sizes = {name: getattr(model, name) for name in ("hidden_size", "nlayers", "embedding_size")}
    files = {} if config.start is None else {d: find_charlm(config.start, d) for d in config.directions}
    begun = {f"start, {direction}": f"{path.name} {file_sha256(path)}" for direction, path in files.items()}
    return {**sizes, **begun, "characters": len(model.items)}


def _characters(config: CSEConfig, path: Path) -> tuple[tuple[str, ...], int]:
    """Return the dictionary and the length of the text, found once and then read from ``path``.

    Models that go on learning keep their own dictionaries, so none is learnt, and the text may be short.
    """
    is_new = config.start is None
    facts = {"least": config.least if is_new else None, **config.source.facts()}
    if path.exists():
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["facts"] == facts:
            return tuple(kept["characters"]), kept["units"]
    lines = config.source.one_pass()
    characters, units = learn_characters(lines, config.least) if is_new else ((), count_characters(lines))
    kept = {"facts": facts, "characters": characters, "units": units}
    write_file(path, json.dumps(kept).encode("utf-8"))
    return characters, units


def _new_model(config: CSEConfig, direction: str, characters: tuple[str, ...]) -> CharLMConfig:
    """Return the settings of a direction that begins with random weights."""
    return CharLMConfig(
        hidden_size=config.hidden_size,
        nlayers=config.nlayers,
        embedding_size=config.embedding_size,
        nout=None,
        is_forward=direction == "forward",
        document_delimiter="\n",
        dropout=config.dropout,
        items=characters,
    )


def _start_model(folder: Path, direction: str) -> CharLMConfig:
    """Return the settings of a model that can go on learning.

    Raises:
        MissingFileError: there is none.
        DataError: it is damaged, has no output layer, or is of a form that is not trained here.
    """
    path = find_charlm(folder, direction)
    lm = load_charlm(path)
    if "decoder.weight" not in lm.weights or lm.config.nout is not None or lm.config.document_delimiter != "\n":
        raise DataError(
            f"{path}: a model can be trained further if it has its output layer, no projection, and a newline between "
            "its texts."
        )
    return lm.config


def _train_direction(
    config: CSEConfig,
    model: CharLMConfig,
    steps: int | None,
    group: Group,
    report: Callable[[PretrainProgress], None] | None,
) -> None:
    """Train one direction in this process and write its file."""
    torch.manual_seed(config.schedule.seed)
    direction = DIRECTIONS[0 if model.is_forward else 1]
    task = CharLMTask(
        model,
        config.source,
        streams=config.streams,
        length=config.length,
        precision=config.precision,
        group=group,
        device=choose_device(config.device),
        start=None if config.start is None else find_charlm(config.start, direction),
    )
    torch.manual_seed(config.schedule.seed + group.rank)  # the same weights everywhere, but other dropout
    train(task, config.schedule, steps, config.out / "training" / direction, report, group)
    if group.rank == 0:
        for suffix in (".safetensors", ".pt") if config.flair else (".safetensors",):
            save_charlm(config.out / f"{direction}{suffix}", task.trained(), dtype=config.dtype)
