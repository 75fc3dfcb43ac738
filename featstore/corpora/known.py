"""Overlaps between corpora that are known, so that loading the one warns of the other.

In: a corpus that was read. Out: a warning where documents of ChemProt's test set, known by their PubMed ids, stand in
its training part. For any
other two corpora ``cli data check A --against B`` measures what they share.
"""

from __future__ import annotations

import logging
from collections import Counter
from functools import cache
from pathlib import Path

from featstore.records import Corpus

_REMEDIES = {"drugprot": " drugprot-new leaves them out of the training part."}
_log = logging.getLogger(__name__)


@cache
def chemprot_test() -> frozenset[str]:
    """Return the PubMed ids of the 800 documents of ChemProt's test set."""
    path = Path(__file__).with_name("chemprot_test_ids.txt")
    return frozenset(path.read_text(encoding="ascii").split())


def warn_of_overlap(corpus: Corpus) -> None:
    """Warn if documents of ChemProt's test set are in the training or the dev part of another corpus."""
    if corpus.name == "chemprot":
        return
    shared = Counter(part or "all" for id_, part in corpus.documents.items() if id_ in chemprot_test())
    del shared["test"]
    if shared:
        _log.warning(
            "%s holds documents of ChemProt's test set (%s): a model trained on it must not be scored there.%s",
            corpus.spec,
            ", ".join(f"{count} in {part}" for part, count in sorted(shared.items())),
            _REMEDIES.get(corpus.name, ""),
        )
