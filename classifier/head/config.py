"""What determines the shape of a head and how it computes; plain values, so that reading them needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True, slots=True)
class InputConfig:
    """One feature as the head receives it.

    Attributes:
        dim: width of one layer.
        layers: 1, or how many layers lie side by side (layer-major) to be mixed by learned weights.
    """

    dim: int
    layers: int = 1


@dataclass(frozen=True, slots=True)
class HeadConfig:
    """What determines the shape of a head and how it computes.

    Attributes:
        inputs: the features, in the order of the rows that :meth:`Head.forward` takes.
        labels: number of labels.
        tags: number of learned tag vectors (0 in the tagged context).
        hidden: hidden units of each direction.
        dropout: share of the input vectors' elements and of h* that training sets to zero (Zhou et al. 2016, 4.2).
        standardise: keep mean and scale of each input column, see :meth:`Head.standardise`.
        project: width that each wider feature is mapped to by learned weights before the Bi-LSTM; 0: none is mapped.
        members: heads that differ in their initial weights and their dropout, and whose probabilities are averaged.
        precision: of the matrix products, ``float32`` or ``bfloat16``; all else is float32.
    """

    # A head that classified the entities' mean states too; it brought nothing. Run folders still say that it is off.
    REMOVED: ClassVar[Mapping[str, object]] = {"spans": False}

    inputs: tuple[InputConfig, ...]
    labels: int
    tags: int = 0
    hidden: int = 256
    dropout: float = 0.0
    standardise: bool = False
    project: int = 0
    members: int = 1
    precision: str = "float32"
