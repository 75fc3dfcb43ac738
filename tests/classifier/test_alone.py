"""What a head or a tagger says of a sequence depends on that sequence alone, to the last digit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.entities.config import NetworkConfig
from classifier.entities.model import Network
from classifier.entities.surface import KINDS, ROWS
from classifier.head.config import HeadConfig, InputConfig
from classifier.head.model import make_head

INPUTS = (InputConfig(50), InputConfig(130, layers=3))
SHAPES = [(128, 100, "bfloat16"), (256, 0, "float32"), (256, 0, "bfloat16"), (12, 7, "float32")]
LENGTHS = st.lists(st.integers(1, 45), min_size=2, max_size=140)


def rows_of(lengths: list[int]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(sum(lengths), i.dim * i.layers, generator=generator) for i in INPUTS]


def batch_of(lengths: list[int], chosen: np.ndarray) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return index (B, T), lengths and mentions of some of the sequences, longest first; sequence i reads its own
    rows."""
    starts = np.cumsum(lengths) - lengths
    longest = max(lengths[i] for i in chosen)
    index = [[starts[i] + min(t, lengths[i] - 1) for t in range(longest)] for i in chosen]
    counts = torch.tensor([lengths[i] for i in chosen])
    return torch.tensor(np.array(index)), counts, torch.stack([counts // 3, counts - 1], 1)


@pytest.mark.parametrize(("hidden", "project", "precision"), SHAPES)
@pytest.mark.parametrize(("members", "mention_states"), [(1, False), (1, True), (2, True)])
def test_a_pair_alone_gets_what_it_gets_among_others(
    hidden: int, project: int, precision: str, members: int, mention_states: bool
) -> None:
    torch.manual_seed(0)
    head = make_head(
        HeadConfig(
            INPUTS, labels=6, tags=4, hidden=hidden, project=project, precision=precision, members=members,
            mention_states=mention_states, standardise=True,
        )
    ).eval()  # fmt: skip

    @settings(max_examples=6, deadline=None)
    @given(LENGTHS, st.integers(0, 2**32 - 1))
    def check(lengths: list[int], seed: int) -> None:
        lengths = sorted(lengths, reverse=True)
        rows = rows_of(lengths)
        some = np.sort(np.random.default_rng(seed).permutation(len(lengths))[: 1 + len(lengths) // 3])
        with torch.inference_mode():
            together = head(rows, *batch_of(lengths, np.arange(len(lengths))))
            alone = head(rows, *batch_of(lengths, some))
        assert torch.equal(together.logits[some], alone.logits)
        assert torch.equal(together.attention[some][:, : lengths[some[0]]], alone.attention)

    check()


@pytest.mark.parametrize(("hidden", "project", "precision"), SHAPES)
def test_a_sentence_alone_gets_the_scores_that_it_gets_among_others(hidden: int, project: int, precision: str) -> None:
    torch.manual_seed(0)
    network = Network(
        NetworkConfig(
            INPUTS, ("CHEMICAL", "GENE"), hidden=hidden, project=project, surface=16, precision=precision
        )
    ).eval()  # fmt: skip

    @settings(max_examples=6, deadline=None)
    @given(LENGTHS, st.integers(0, 2**32 - 1))
    def check(lengths: list[int], seed: int) -> None:
        lengths = sorted(lengths, reverse=True)
        rows, looks = rows_of(lengths), torch.arange(sum(lengths) * KINDS).view(-1, KINDS) % ROWS
        some = np.sort(np.random.default_rng(seed).permutation(len(lengths))[: 1 + len(lengths) // 3])
        with torch.inference_mode():
            index, counts, _ = batch_of(lengths, np.arange(len(lengths)))
            together = network(rows, looks, index.t(), counts)
            index, counts, _ = batch_of(lengths, some)
            alone = network(rows, looks, index.t(), counts)
        for place, n in enumerate(some):
            assert torch.equal(together[: lengths[n], n], alone[: lengths[n], place])

    check()
