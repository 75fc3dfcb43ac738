"""The encoders of a trained model, a relation head or a tagger.

In: a checkpoint, and where its encoders are. Out: the encoders, each checked against the identity that the checkpoint
names: a model is never applied to the vectors of another encoder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from classifier.data.features import FeatureSpec
from featstore.encoders import Encoder, load_encoder
from featstore.encoders.spec import parse_spec
from featstore.errors import MismatchError, UsageError


class ReadsFeatures(Protocol):
    """What a checkpoint says of the vectors that it reads."""

    @property
    def features(self) -> tuple[FeatureSpec, ...]:
        """What it reads, in order."""
        ...

    @property
    def encoders(self) -> Mapping[str, Mapping[str, object]]:
        """For each encoder the facts behind its identity."""
        ...


def load_encoders(
    checkpoint: ReadsFeatures,
    given: Sequence[str] = (),
    bundled: Mapping[str, str] | None = None,
    *,
    device: str = "cpu",
    loaded: Mapping[str, Encoder] | None = None,
) -> dict[str, Encoder]:
    """Load the encoders that a model was trained on, by name, with the precision and the layers that they had then.

    Args:
        checkpoint: the trained model.
        given: ``NAME:PATH`` for each encoder that is elsewhere than expected.
        bundled: the spec of each where it is expected; by default the one that comes with featstore.
        device: torch's name of the device that they run on.
        loaded: encoders that are in memory already, by name; one of the right identity is not loaded again.

    Raises:
        UsageError: a spec of an encoder that the model does not read.
        MismatchError: an encoder that is not the one it was trained on; the text names both.
    """
    wanted = {spec.name: spec for spec in checkpoint.features}
    specs = {parse_spec(spec).name: spec for spec in given}
    if unknown := specs.keys() - wanted.keys():
        raise UsageError(f"the model reads {', '.join(wanted)}; leave {', '.join(sorted(unknown))} out of --encoders.")
    specs = {**(bundled or {}), **specs}
    encoders: dict[str, Encoder] = {}
    for name, spec in wanted.items():
        there = (loaded or {}).get(name)
        if there is not None and there.identity == spec.identity:
            encoders[name] = there
            continue
        facts = checkpoint.encoders.get(name, {})
        named = specs.get(name, name)
        # A spec that chooses layers is taken at its word; if they are others, the identity differs.
        layers = facts.get("layers") if parse_spec(named).layers is None else None
        own = {"layers": layers} if isinstance(layers, list | tuple) else {}
        precision = str(facts.get("precision", "float32"))
        encoders[name] = load_encoder(named, precision=precision, device=device, **own)
        check_encoder(spec, encoders[name], specs.get(name, name))
    return encoders


def check_encoder(wanted: FeatureSpec, encoder: Encoder, given: str) -> None:
    """Make sure that an encoder is the one that a model was trained on.

    Raises:
        MismatchError: it is another; the text names both.
    """
    if encoder.identity != wanted.identity:
        raise MismatchError(
            f"the model was trained on {wanted.name} {wanted.identity[:16]}, '{given}' is {encoder.identity[:16]}; "
            f"name the right weights with --encoders {wanted.name}:PATH."
        )
