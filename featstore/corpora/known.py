"""Overlaps between corpora that are known, so that loading the one warns of the other.

In: a corpus that was read. Out: a warning where documents of ChemProt's test set stand in its training part. For any
other two corpora ``cli data check A --against B`` measures what they share.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from featstore.records import Corpus

_log = logging.getLogger(__name__)


@cache
def chemprot_test() -> frozenset[str]:
    """Return the PubMed ids of the 800 documents of ChemProt's test set."""
    path = Path(__file__).with_name("chemprot_test_ids.txt")
    return frozenset(path.read_text(encoding="ascii").split())


def warn_of_overlap(corpus: Corpus, remedy: str) -> None:
    """Warn if documents of ChemProt's test set are in the training or the dev part of a corpus; count them all.

    Args:
        corpus: of documents with PubMed ids.
        remedy: what the user can do, as the end of a sentence.
    """
    parts: dict[str, set[str]] = {}
    for instance in corpus.instances:
        parts.setdefault(instance.split or "corpus", set()).add(instance.source["document"])
    shared = {part: len(ids & chemprot_test()) for part, ids in parts.items()}
    if any(count for part, count in shared.items() if part != "test"):
        _log.warning(
            "%s holds documents of ChemProt's test set (%s): a model trained on it must not be scored there; %s.",
            corpus.name,
            _listed(shared.items()),
            remedy,
        )


def _listed(shared: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{count} in {part}" for part, count in shared)
