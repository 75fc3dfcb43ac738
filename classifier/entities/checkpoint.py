"""A trained tagger on disk: safetensors and JSON, no pickle.

In: a network and what it was trained on. Out: ``model.safetensors`` and ``tagger.json`` in a folder, and the same
tagger back. The weights are float16, and those of the network are rounded to it before they are evaluated, so that what
is measured is what is stored; means and scales of the input columns stay float32, since they may be large.
``tagger.json`` names the encoders by identity, is written last and holds the digest of the weights. What is read may
come from anywhere: no number in the JSON makes anything large before the weights have been checked against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from classifier.data.features import Feature, FeatureSpec
from classifier.entities.config import NetworkConfig, TaggerConfig
from classifier.entities.crf import Crf
from classifier.entities.facts import (
    FACTS,
    FORMAT_VERSION,
    MADE_BY,
    WEIGHTS,
    TaggerFacts,
    TaggerTraining,
    TrainedCorpus,
    read_tagger,
)
from classifier.entities.model import Network
from classifier.entities.sentences import may_follow
from classifier.entities.types import TYPES
from classifier.head.config import InputConfig
from classifier.runs.checkpoint import versions
from classifier.runs.facts import to_json
from classifier.runs.weights import read_weights
from featstore.errors import DataError, MismatchError
from featstore.files import make_folder, write_file
from featstore.fingerprint import fingerprint

_FULL = (".mean", ".scale")  # what stays float32
_MOST_PARTS = 100


@dataclass(frozen=True, slots=True, eq=False)
class TaggerCheckpoint:
    """A trained tagger and what belongs to it.

    Attributes:
        network: the network, in evaluation mode.
        features: what it reads, in order.
        encoders: for each encoder the facts behind its identity.
        corpora: what it was trained on.
        config: how it was trained; its corpora without their paths.
        training: what training measured.
    """

    network: Network
    features: tuple[FeatureSpec, ...]
    encoders: Mapping[str, Mapping[str, object]]
    corpora: tuple[TrainedCorpus, ...]
    config: TaggerConfig
    training: TaggerTraining

    @property
    def types(self) -> tuple[str, ...]:
        """The types that it tags."""
        return self.network.config.types

    @property
    def fingerprint(self) -> str:
        """A digest (64 hex digits) of all that its answers depend on: weights, encoders, shape."""
        return fingerprint(
            {
                "weights": sha256(_weights(self.network)).hexdigest(),
                "features": [asdict(spec) for spec in self.features],
                "network": asdict(self.network.config),
            }
        )

    @property
    def parsed_features(self) -> tuple[Feature, ...]:
        """The features as ``--features`` would name them, any encoder of the name."""
        return tuple(Feature(spec.name, spec.layer) for spec in self.features)


@torch.no_grad()
def round_weights(network: Network) -> None:
    """Round the weights of a network to what is stored of them."""
    for name, tensor in network.state_dict().items():
        if not name.endswith(_FULL):
            tensor.copy_(tensor.half())


def save_tagger(folder: Path, checkpoint: TaggerCheckpoint) -> TaggerFacts:
    """Write ``model.safetensors`` and then ``tagger.json`` into ``folder``, which is created; return the facts."""
    make_folder(folder)
    weights = _weights(checkpoint.network)
    facts = TaggerFacts(
        format=FORMAT_VERSION,
        features=checkpoint.features,
        encoders=checkpoint.encoders,
        corpora=checkpoint.corpora,
        network=checkpoint.network.config,
        config=checkpoint.config,
        training=checkpoint.training,
        fingerprint=checkpoint.fingerprint,
        weights_sha256=sha256(weights).hexdigest(),
        versions=versions(),
    )
    (folder / FACTS).unlink(missing_ok=True)  # the old facts must not stand beside the new weights
    write_file(folder / WEIGHTS, weights)
    write_file(folder / FACTS, to_json(facts))
    return facts


def load_tagger(folder: Path) -> TaggerCheckpoint:
    """Read what :func:`save_tagger` wrote.

    Raises:
        MissingFileError: there is no finished tagger.
        DataError: a damaged or changed file.
        MismatchError: a format that this version does not know, or weights that belong to other facts.
    """
    facts = read_tagger(folder)
    if facts.format != FORMAT_VERSION:
        raise MismatchError(
            f"{folder / FACTS} has format {facts.format}; this version reads {FORMAT_VERSION}. Train it again."
        )
    weights = read_weights(folder / WEIGHTS, facts.weights_sha256, FACTS, MADE_BY)
    try:
        if tuple(InputConfig(spec.dim, spec.layers) for spec in facts.features) != facts.network.inputs:
            raise ValueError("the network's inputs are not the features")
        network = _network(facts.network, weights)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, SafetensorError) as error:
        raise DataError(f"{folder} does not hold an intact tagger ({error}); train again.") from error
    return TaggerCheckpoint(
        network=network,
        features=facts.features,
        encoders=facts.encoders,
        corpora=facts.corpora,
        config=facts.config,
        training=facts.training,
    )


def _weights(network: Network) -> bytes:
    return save_tensors(
        {
            name: (tensor if name.endswith(_FULL) else tensor.half()).contiguous()
            for name, tensor in network.state_dict().items()
        }
    )


def _network(config: NetworkConfig, weights: bytes) -> Network:
    """Return the network of ``config`` with ``weights``; nothing is allocated before the two were found to fit."""
    if not set(config.types) <= set(TYPES) or len(config.inputs) > _MOST_PARTS:
        raise ValueError(f"{len(config.inputs)} inputs and the types {config.types} are no tagger")
    tensors: dict[str, Tensor] = load_tensors(weights)
    with torch.device("meta"):
        network = Network(config)
    for name, tensor in tensors.items():
        if tensor.dtype != (torch.float32 if name.endswith(_FULL) else torch.float16):
            raise ValueError(f"'{name}' is {tensor.dtype}")
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, assign=True)
    network.crf = _with_rules(network.crf, config)
    return network.eval()


def _with_rules(crf: Crf, config: NetworkConfig) -> Crf:
    """Return a CRF with the transitions given and the rules of its tags, which are not stored."""
    made = Crf(may_follow(config.types))
    made.transitions = crf.transitions
    return made
