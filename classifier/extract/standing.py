"""How far an extraction is, for whoever shows a bar, and for the log.

In: the documents that are done, and the pairs of one that has very many. Out: calls of the caller's progress, and lines
of the log.
"""

from __future__ import annotations

import logging
import time

from featstore.progress import Progress

_SECONDS_BETWEEN_LINES = 5.0  # of the log, about one document
_log = logging.getLogger("featstore.extract")


class Standing:
    """Tells how far an extraction is.

    Args:
        progress: called with (documents done, documents to do), without those that were done before; None: nobody asks.
        before: documents that an interrupted extraction had done.
        total: documents of the input, about; None: not known.
    """

    def __init__(self, progress: Progress | None, before: int, total: int | None) -> None:
        self._progress, self._before = progress, before
        self._total = None if total is None else total - before
        self._done = 0
        self._logged = time.monotonic()

    def tell(self, documents: int) -> None:
        """Tell that so many documents are done, those of an interrupted extraction too."""
        self._done = documents - self._before
        if self._progress:
            # The total of a large file is an estimate, which may turn out too low.
            self._progress(self._done, None if self._total is None else max(self._total, self._done))

    def within(self, id_: str, scored: int, pairs: int) -> None:
        """Tell that a document is at work that has many pairs."""
        self.tell(self._done + self._before)
        if time.monotonic() - self._logged >= _SECONDS_BETWEEN_LINES:
            self._logged = time.monotonic()
            _log.info("document %s: %s of %s pairs are scored", id_, f"{scored:,}", f"{pairs:,}")
