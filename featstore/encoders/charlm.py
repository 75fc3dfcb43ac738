"""The character language model behind CSE (Akbik et al. 2018): its settings and its weights.

In: the settings and weights of one direction, from our trainer or from a file
(:mod:`featstore.encoders.charlm_file`). Out: a :class:`CharLM` in float32, checked. The tensors have the names of
flair's state dict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from featstore.encoders.weights import checked


@dataclass(frozen=True, slots=True, kw_only=True)
class CharLMConfig:
    """One direction of a character language model.

    Attributes:
        hidden_size: units of each LSTM layer.
        nlayers: LSTM layers.
        embedding_size: width of a character's embedding.
        nout: width of the projection above the LSTM; None if the model has none.
        is_forward: whether it reads from left to right; a backward model reads the reversed string.
        document_delimiter: what stood before each text in training; every string begins with it.
        dropout: dropout in training; it is not used in encoding.
        items: the characters by index; index 0 stands for every unknown one (``<unk>``), an empty string for an
            index that no character has.

    Raises:
        ValueError: a size below 1, or a character that occurs twice.
    """

    hidden_size: int
    nlayers: int
    embedding_size: int
    nout: int | None
    is_forward: bool
    document_delimiter: str
    dropout: float
    items: tuple[str, ...]

    def __post_init__(self) -> None:
        named = [item for item in self.items if item]
        if min(self.hidden_size, self.nlayers, self.embedding_size, self.dim, len(named)) < 1:
            raise ValueError("the sizes and the number of characters must be at least 1")
        if len(set(named)) < len(named):
            raise ValueError("a character occurs twice among the items")

    @property
    def dim(self) -> int:
        """Width of one direction's vectors."""
        return self.hidden_size if self.nout is None else self.nout

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return name and shape of the weights that encoding needs."""
        gates, hidden = 4 * self.hidden_size, self.hidden_size
        shapes: dict[str, tuple[int, ...]] = {"encoder.weight": (len(self.items), self.embedding_size)}
        for layer in range(self.nlayers):
            shapes[f"rnn.weight_ih_l{layer}"] = (gates, hidden if layer else self.embedding_size)
            shapes[f"rnn.weight_hh_l{layer}"] = (gates, hidden)
            shapes[f"rnn.bias_ih_l{layer}"] = shapes[f"rnn.bias_hh_l{layer}"] = (gates,)
        if self.nout is not None:
            shapes |= {"proj.weight": (self.nout, hidden), "proj.bias": (self.nout,)}
        return shapes

    def decoder_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return name and shape of the output layer, which only training and generation need."""
        return {"decoder.weight": (len(self.items), self.dim), "decoder.bias": (len(self.items),)}


@dataclass(frozen=True, slots=True, eq=False)
class CharLM:
    """A character language model.

    Attributes:
        config: its settings.
        weights: tensors by the names of :meth:`CharLMConfig.shapes`, with or without those of
            :meth:`CharLMConfig.decoder_shapes`; float32.
    """

    config: CharLMConfig
    weights: Mapping[str, Tensor]

    @classmethod
    def of(cls, path: Path, config: CharLMConfig, weights: Mapping[str, Tensor]) -> CharLM:
        """Check ``weights``, which ``path`` holds or shall hold, against ``config``.

        Raises:
            DataError: they do not fit, or are not finite.
        """
        decoder = config.decoder_shapes() if "decoder.weight" in weights else {}
        return cls(config, checked(path, weights, config.shapes() | decoder))
