"""What the trainings of language models have in common: the text, the folder, the schedule, and how they compute."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from featstore.errors import check_choice
from featstore.pretrain.schedule import PRECISIONS, Schedule
from featstore.pretrain.text import TextSource


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainConfig:
    """A training of a language model on text.

    Attributes:
        text: files to learn from, plain or ``.gz``, one sentence, paragraph or abstract a line.
        out: folder for the model.
        valid: files of held-out text. Without them one line in a hundred of ``text`` is held out.
        schedule: length of the training and course of the learning rate.
        held_out_chars: number of held-out characters on which the loss is measured.
        precision: precision of the matrix products, ``bfloat16`` or ``float32``.
        processes: number of processes that share each batch (of cse: the streams of a direction).
        device: ``cpu``, ``cuda``, or ``auto``: a GPU if there is one.
        dtype: number type in which the finished model is stored, ``float16`` or ``float32``.
        fresh: ignore and remove a checkpoint in ``out``.

    Raises:
        UsageError: a value is out of range.
    """

    text: tuple[Path, ...]
    out: Path
    valid: tuple[Path, ...] = ()
    schedule: Schedule = field(default_factory=Schedule)
    held_out_chars: int = 150_000
    precision: str = "bfloat16"
    processes: int = 1
    device: str = "auto"
    dtype: str = "float16"
    fresh: bool = False

    def __post_init__(self) -> None:
        check_choice("device", self.device, ("auto", "cpu", "cuda"))
        check_choice("precision", self.precision, PRECISIONS)
        check_choice("dtype", self.dtype, ("float16", "float32"))

    @property
    def source(self) -> TextSource:
        """The text."""
        return TextSource(self.text, self.valid, self.held_out_chars)
