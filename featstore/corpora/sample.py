"""The bundled sample: sentences of our own in the two layouts, so that everything works right after installation.

In: nothing, ``gad`` or ``chemprot``. Out: the sample as those readers read it. It is generated
(``benchmarks/make_sample.py``), holds no text of a real corpus, and says nothing of how good a model is.
"""

from __future__ import annotations

from pathlib import Path

from featstore.bundled import bundled
from featstore.corpora import chemprot, gad
from featstore.corpora.mark import Marking
from featstore.errors import check_choice
from featstore.records import Corpus


def read(path: str | None, marking: Marking, instances: Path | None) -> Corpus:
    """Read the sample; ``path`` is the layout, ``gad`` if None.

    Raises:
        UsageError: another layout.
    """
    layout = check_choice("layout of the sample", path or "gad", ("gad", "chemprot"))
    folder = bundled(f"sample/{layout}")
    if layout == "gad":
        return gad.read_folds("gad", folder, marking, instances)
    return chemprot.read(str(folder), marking, instances)
