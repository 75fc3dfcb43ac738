"""Many parallel streams of characters or words for truncated backpropagation through time.

In: an endless iterator of lines, each already an array of indices. Out: blocks of shape (length + 1, streams), whose
first row repeats the last row of the block before, so that inputs are ``block[:-1]`` and targets ``block[1:]``.
Column ``b`` of consecutive blocks is one running text. A stream takes the next whole line when it is empty. Only the
unread rests of the streams are kept, and they can be saved and restored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray


class Streams:
    """Parallel streams over one iterator of encoded lines.

    Args:
        lines: an endless iterator of arrays of indices, one array a line.
        rests: for each stream, what it returns before its first line.
    """

    def __init__(self, lines: Iterator[NDArray[np.int32]], rests: Sequence[NDArray[np.int32]]) -> None:
        self._lines = lines
        self.rests = list(rests)

    def skip_to(self, stream: int, mark: NDArray[np.int32]) -> None:
        """Let a stream's next block begin with the next ``mark`` (Shape: (1,)) of its rest, or one before a line."""
        rest = self.rests[stream]
        found = np.flatnonzero(rest == mark)
        self.rests[stream] = rest[found[0] :] if len(found) else np.concatenate([mark, next(self._lines)])

    def block(self, length: int) -> NDArray[np.int32]:
        """Return the next block; Shape: (length + 1, streams)."""
        block = np.empty((length + 1, len(self.rests)), np.int32)
        for b, rest in enumerate(self.rests):
            parts, total = [rest], len(rest)
            while total <= length:
                parts.append(next(self._lines))
                total += len(parts[-1])
            whole = np.concatenate(parts)
            block[:, b] = whole[: length + 1]
            self.rests[b] = whole[length:]
        return block
