"""What every encoder can be asked for besides its weights: the device it runs on and the precision of its products.

An encoder that multiplies nothing, such as GloVe, takes both as well, so that one command can name several encoders;
a value that no encoder knows is refused by all of them. Importing this module does not need torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from featstore.errors import UsageError, check_choice

if TYPE_CHECKING:
    import torch

PRECISIONS = ("float32", "bfloat16", "int8")


def device_of(name: str) -> torch.device:
    """Return torch's device of that name.

    Raises:
        UsageError: there is no such device here.
    """
    import torch

    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(
            f"device '{name}' cannot be used here ({error}); choose cpu, or cuda where there is one."
        ) from error
    return device


def check_device(name: str) -> str:
    """Return ``name`` if torch has a device of that name here.

    Raises:
        UsageError: it has not.
    """
    if name != "cpu":
        device_of(name)
    return name


def check_options(device: str, precision: str) -> None:
    """Make sure that a device and a precision exist.

    Raises:
        UsageError: one does not.
    """
    check_device(device)
    check_choice("precision", precision, PRECISIONS)
