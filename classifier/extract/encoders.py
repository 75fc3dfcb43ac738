"""The encoders of a trained head.

In: a checkpoint, and where its encoders are. Out: the encoders, each held against the identity that the checkpoint
names: a head is never applied to the vectors of another encoder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from classifier.data.features import FeatureSpec
from classifier.runs.checkpoint import Checkpoint
from featstore.encoders import Encoder, load_encoder
from featstore.errors import MismatchError, UsageError


def load_encoders(
    checkpoint: Checkpoint,
    given: Sequence[str] = (),
    bundled: Mapping[str, str] | None = None,
    *,
    device: str = "cpu",
) -> dict[str, Encoder]:
    """Load the encoders that a head was trained on, by name, at the precision that they had then.

    Args:
        checkpoint: the trained head.
        given: ``NAME:PATH`` for each encoder that is elsewhere than expected.
        bundled: the spec of each where it is expected; by default the one that comes with featstore.
        device: torch's name of the device that they run on.

    Raises:
        UsageError: a spec of an encoder that the head does not read.
        MismatchError: an encoder that is not the one it was trained on; the text names both.
    """
    wanted = {spec.name: spec for spec in checkpoint.features}
    specs = {spec.partition(":")[0]: spec for spec in given}
    if unknown := specs.keys() - wanted.keys():
        raise UsageError(f"the model reads {', '.join(wanted)}; leave {', '.join(sorted(unknown))} out of --encoders.")
    specs = {**(bundled or {}), **specs}
    encoders = {}
    for name, spec in wanted.items():
        precision = str(checkpoint.encoders.get(name, {}).get("precision", "float32"))
        encoders[name] = load_encoder(specs.get(name, name), precision=precision, device=device)
        check_encoder(spec, encoders[name], specs.get(name, name))
    return encoders


def check_encoder(wanted: FeatureSpec, encoder: Encoder, given: str) -> None:
    if encoder.identity != wanted.identity:
        raise MismatchError(
            f"the model was trained on {wanted.name} {wanted.identity[:16]}, '{given}' is {encoder.identity[:16]}; "
            f"name the right weights with --encoders {wanted.name}:PATH."
        )
