"""A linear-chain conditional random field over tags, some of which may be unknown (Lafferty et al. 2001).

In: a score for each tag at each token, and which tags are possible there. Out: the log-likelihood of what is possible,
and the best sequence. With s(y) the sum of the scores of a sequence's tags and of the transitions between them,

    log p(possible) = log sum over y in possible of exp s(y)  -  log sum over all valid y of exp s(y)

Where each token has one possible tag that is the usual loss. Where it has several, their sequences are summed: a
constrained, or partial, likelihood (Tsuboi et al. 2008; Bellare and McCallum 2007), so that a tag that nobody annotated
is neither taught nor punished. Only sequences that the scheme allows are counted, in training and in decoding.

Both sums are one forward pass, as products of probabilities that are scaled to sum to one at each token: the sums of
all and of the possible sequences differ in what the emissions are masked with, so they run side by side in one batch.
Sequences come longest first, and step t computes those still running. Torch only.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

_NEVER = -1e9  # a score below all others, for the maximum, which does not bear infinities that cancel


class Crf(nn.Module):
    """Transitions between K tags.

    Args:
        may_follow: which tag may follow which, with the sentence's edge as the last row and column.
            Shape: (K + 1, K + 1).
    """

    valid: Tensor

    def __init__(self, may_follow: NDArray[np.bool_]) -> None:
        super().__init__()
        self.transitions = nn.Parameter(torch.zeros(may_follow.shape))
        self.register_buffer("valid", torch.from_numpy(may_follow), persistent=False)

    def log_likelihood(self, emissions: Tensor, possible: Tensor, lengths: Tensor) -> Tensor:
        """Return the log-probability that the tags are among the possible ones.

        Args:
            emissions: score of each tag. Shape: (T, B, K) float32; anything at padding.
            possible: which tags a token may have; at least one sequence must be. Shape: (T, B, K) bool.
            lengths: tokens of each sequence, longest first. Shape: (B,) int64, the first equal to T.

        Returns:
            Shape: (B,), none above zero but for rounding.
        """
        count = len(lengths)
        both = torch.cat([emissions.masked_fill(~possible, -torch.inf), emissions], 1)
        # The two halves interleaved, so that the sequences are still in the order of their lengths.
        order = torch.arange(2 * count).view(2, count).t().flatten()
        sums = self._log_sums(both[:, order], lengths.repeat_interleave(2)).view(count, 2)
        return sums[:, 0] - sums[:, 1]

    def _log_sums(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """Return the logarithm of the sum of exp s(y) over all valid sequences; -inf in a score excludes a tag."""
        steps, _, tags = emissions.shape
        weights = self.transitions.exp() * self.valid
        inner, first, last = weights[:tags, :tags], weights[tags, :tags], weights[:tags, tags]
        highest = emissions.detach().amax(-1, keepdim=True)
        chances = (emissions - highest).exp()
        state = chances[0] * first
        total = torch.zeros(len(lengths))
        ended: list[Tensor] = []  # sums of the sequences that have ended, the longest last
        running = (lengths > torch.arange(steps).unsqueeze(1)).sum(1).tolist()
        for t in range(steps):
            n = running[t]
            if n < len(state):
                ended.append(total[n:] + (state[n:] @ last).log())
                state, total = state[:n], total[:n]
            if t:
                state = (state @ inner) * chances[t, :n]
            scale = state.sum(1)
            total = total + scale.log() + highest[t, :n, 0]
            state = state / scale.unsqueeze(1)
        ended.append(total + (state @ last).log())
        return torch.cat(ended[::-1])

    @torch.no_grad()
    def best(self, emissions: Tensor, lengths: Tensor) -> NDArray[np.int64]:
        """Return the best valid sequence of tags (Viterbi), of equally good ones any.

        Shape: emissions (T, B, K), lengths (B,) longest first -> (T, B), zeros at padding.
        """
        steps, count, tags = emissions.shape
        scores = torch.where(self.valid, self.transitions, _NEVER)
        inner, first, last = scores[:tags, :tags].t().contiguous(), scores[tags, :tags], scores[:tags, tags]
        running = (lengths > torch.arange(steps).unsqueeze(1)).sum(1).tolist()
        back = torch.zeros(steps, count, tags, dtype=torch.int64)
        state = emissions[0] + first
        for t in range(1, steps):
            n = running[t]
            best, back[t, :n] = (state[:n].unsqueeze(1) + inner).max(2)
            state[:n] = best + emissions[t, :n]
        chosen = torch.zeros(steps, count, dtype=torch.int64)
        tag = (state + last).argmax(1)
        for t in range(steps - 1, -1, -1):
            n = running[t]
            chosen[t, :n] = tag[:n]
            if t:
                tag[:n] = back[t, :n].gather(1, tag[:n].unsqueeze(1)).squeeze(1)
        sequences: NDArray[np.int64] = chosen.numpy()
        return sequences
