"""Networks are made without values before their weights are read, and then no random number is drawn.

torch would draw it for no values with code of its compiler, whose import takes longer than all else together.
"""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from classifier.entities.config import NetworkConfig
from classifier.entities.filter_model import FilterNetwork
from classifier.entities.model import Network
from classifier.head.config import HeadConfig, InputConfig
from classifier.head.model import make_head

INPUTS = (InputConfig(5), InputConfig(8, layers=3))
RANDOM = {"normal_", "normal", "randn", "bernoulli_", "exponential_"}  # not uniform_, which needs no compiler


class Watched(TorchFunctionMode):
    """Notes the names of the functions that are called for no values."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.names.add(func.__name__)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "make",
    [
        lambda: make_head(HeadConfig(INPUTS, labels=3, tags=2, hidden=6, project=4)),
        lambda: make_head(HeadConfig(INPUTS, labels=3, tags=2, hidden=6, members=2)),
        lambda: Network(NetworkConfig(INPUTS, ("CHEMICAL", "GENE"), hidden=6, project=4, surface=4)),
        lambda: FilterNetwork(7, types=2, reach=1),
    ],
    ids=["head", "heads", "tagger", "filter"],
)
def test_no_random_number_is_drawn_for_no_values(make: Callable[[], nn.Module]) -> None:
    with torch.device("meta"), Watched() as watched:
        network = make()
    assert all(parameter.is_meta for parameter in network.parameters())
    assert not watched.names & RANDOM
    assert "empty" in watched.names  # it does watch
