"""Another precision of a model's matrix products, for extraction alone.

In: a model that was read, and a precision. Out: the model at that precision; for int8 with the encoders' kernels in the
place of its linear layers. A head has no other precision: that of its encoders is part of what it was trained on.
"""

from __future__ import annotations

from dataclasses import replace

from classifier.systems.contract import ChangeablePrecision
from classifier.systems.saved import AnyModel, Fitted
from featstore.encoders.options import PRECISIONS, device_of
from featstore.errors import UsageError, check_choice


def at_precision(model: AnyModel, precision: str, device: str) -> AnyModel:
    """Return a model that computes at a precision.

    Args:
        model: the model, which is used up.
        precision: ``float32``, ``bfloat16`` or ``int8``.
        device: that it runs on.

    Raises:
        UsageError: the precision does not exist or this machine does not support it, or the model has none of its own.
    """
    check_choice("precision", precision, PRECISIONS)
    if not isinstance(model, Fitted) or not isinstance(model.model, ChangeablePrecision):
        raise UsageError(
            f"--precision {precision} is for the models of --system bert. What this model computes with is part of "
            "what it was trained on; leave the option out."
        )
    from featstore.encoders.bert import use_kernels

    on = device_of(device)
    computing = model.model.at_precision(precision, lambda module: use_kernels(module, "int8", on))
    return replace(model, model=computing, precision=precision)
