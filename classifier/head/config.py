"""The shape of a head and how it computes, as plain values, so that reading them does not need torch."""

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
        layers: number of layers that lie side by side (layer-major) and are mixed by learned weights; 1 for a single
            layer.
    """

    dim: int
    layers: int = 1


@dataclass(frozen=True, slots=True)
class HeadConfig:
    """The shape of a head and how it computes.

    Attributes:
        inputs: the features, in the order of the rows that :meth:`Head.forward` takes.
        labels: number of labels.
        tags: number of learned tag vectors (0 in the tagged context).
        hidden: hidden units of each direction.
        dropout: share of the elements of the input vectors and of h* that are set to zero in training (Zhou et al.
            2016, 4.2).
        standardise: keep mean and scale of each input column, see :meth:`Head.standardise`.
        project: width to which each wider feature is mapped by learned weights before the Bi-LSTM; 0 maps none.
        members: number of heads that differ in their initial weights and their dropout, and whose probabilities are
            averaged.
        mention_states: classify the states at which both mentions begin besides h*.
        precision: precision of the matrix products, ``float32`` or ``bfloat16``; everything else is in float32.
    """

    # An earlier head also classified the mean states of the entities, which brought nothing. Run folders still record
    # that this option is off.
    REMOVED: ClassVar[Mapping[str, object]] = {"spans": False}

    inputs: tuple[InputConfig, ...]
    labels: int
    tags: int = 0
    hidden: int = 256
    dropout: float = 0.0
    standardise: bool = False
    project: int = 0
    members: int = 1
    mention_states: bool = False
    precision: str = "float32"
