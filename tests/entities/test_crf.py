"""The CRF against the sum and the maximum over all sequences, written out."""

from itertools import pairwise, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.entities.crf import Crf
from classifier.entities.sentences import may_follow, spans_of, tag_names, tags_of

TYPES = ("CHEMICAL",)
TAGS = len(tag_names(TYPES))


def make_crf(seed: int, scale: float = 1.0) -> Crf:
    crf = Crf(may_follow(TYPES))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        crf.transitions.copy_(scale * torch.randn(crf.transitions.shape, generator=generator))
    return crf


def all_scores(crf: Crf, emissions: torch.Tensor, possible: torch.Tensor) -> dict[tuple[int, ...], float]:
    """The score of each valid sequence of possible tags; emissions and possible: (T, K)."""
    valid, transitions = crf.valid.tolist(), crf.transitions.double().tolist()
    scores = {}
    for tags in product(range(TAGS), repeat=len(emissions)):
        path = (TAGS, *tags, TAGS)
        steps = list(pairwise(path))
        if all(valid[i][j] for i, j in steps) and all(possible[t, tag] for t, tag in enumerate(tags)):
            scores[tags] = sum(transitions[i][j] for i, j in steps) + sum(
                float(emissions[t, tag]) for t, tag in enumerate(tags)
            )
    return scores


def log_sum(scores: dict[tuple[int, ...], float]) -> float:
    return float(torch.tensor(list(scores.values()), dtype=torch.float64).logsumexp(0))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.lists(st.integers(1, 4), min_size=1, max_size=4), st.sampled_from([0.1, 1.0, 8.0]))
def test_the_likelihood_is_that_of_enumeration_and_the_best_sequence_too(
    seed: int, lengths: list[int], scale: float
) -> None:
    lengths.sort(reverse=True)
    crf, generator = make_crf(seed, scale=min(scale, 3)), torch.Generator().manual_seed(seed)
    shape = (lengths[0], len(lengths), TAGS)
    emissions = scale * torch.randn(shape, generator=generator)
    possible = torch.rand(shape, generator=generator) < 0.4
    possible[:, :, 0] = True
    likelihood = crf.log_likelihood(emissions, possible, torch.tensor(lengths))
    best = crf.best(emissions, torch.tensor(lengths))
    for n, length in enumerate(lengths):
        every = all_scores(crf, emissions[:length, n], torch.ones(length, TAGS, dtype=torch.bool))
        some = all_scores(crf, emissions[:length, n], possible[:length, n])
        assert likelihood[n].item() == pytest.approx(log_sum(some) - log_sum(every), abs=2e-4, rel=1e-4)
        assert every[tuple(best[:length, n].tolist())] == pytest.approx(max(every.values()), abs=1e-3)
        assert not best[length:, n].any()


def test_the_gradient_is_that_of_enumeration() -> None:
    crf = make_crf(3)
    emissions = torch.randn(4, 1, TAGS, generator=torch.Generator().manual_seed(1)).requires_grad_()
    possible = torch.zeros(4, 1, TAGS, dtype=torch.bool)
    possible[:, :, 0] = True
    possible[1, 0, :] = True
    crf.log_likelihood(emissions, possible, torch.tensor([4])).sum().backward()
    # The gradient by an emission is the tag's probability given what is possible, less its probability.
    for t, tag in product(range(4), range(TAGS)):
        difference = 0.0
        for sign, allowed in ((1, possible[:, 0]), (-1, torch.ones(4, TAGS, dtype=torch.bool))):
            scores = all_scores(crf, emissions[:, 0].detach(), allowed)
            total = log_sum(scores)
            difference += sign * sum(np.exp(s - total) for tags, s in scores.items() if tags[t] == tag)
        assert emissions.grad is not None
        assert emissions.grad[t, 0, tag].item() == pytest.approx(difference, abs=1e-5)


def test_a_sentence_has_the_same_likelihood_whatever_its_batch_mates() -> None:
    crf, generator = make_crf(5), torch.Generator().manual_seed(2)
    emissions = torch.randn(6, 3, TAGS, generator=generator)
    possible = torch.ones(6, 3, TAGS, dtype=torch.bool)
    possible[:2, :, 1:] = False
    together = crf.log_likelihood(emissions, possible, torch.tensor([6, 4, 1]))
    for n, length in enumerate((6, 4, 1)):
        alone = crf.log_likelihood(emissions[:length, [n]], possible[:length, [n]], torch.tensor([length]))
        assert alone.item() == pytest.approx(together[n].item(), abs=1e-6)


@given(st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_what_is_decoded_is_valid(seed: int) -> None:
    types = ("CHEMICAL", "GENE", "DISEASE")
    crf = Crf(may_follow(types))
    emissions = 3 * torch.randn(7, 2, len(tag_names(types)), generator=torch.Generator().manual_seed(seed))
    for column, length in zip(crf.best(emissions, torch.tensor([7, 3])).T, (7, 3), strict=True):
        tags = column[:length]
        np.testing.assert_array_equal(tags_of(spans_of(tags.tolist(), types), length, types), tags)


def test_long_sentences_do_not_underflow() -> None:
    crf = make_crf(1)
    emissions = 20 * torch.randn(600, 1, TAGS, generator=torch.Generator().manual_seed(4))
    possible = torch.zeros(600, 1, TAGS, dtype=torch.bool)
    possible[:, :, 0] = True
    likelihood = crf.log_likelihood(emissions, possible, torch.tensor([600]))
    assert torch.isfinite(likelihood).all()
    assert likelihood.item() < -100
