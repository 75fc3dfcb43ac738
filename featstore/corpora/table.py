"""The table of corpus readers, and loading a corpus by its spec.

Each reader lives in a file of its own that is imported when it is asked for; adding one is that file and a line in
``READERS``.
"""

from __future__ import annotations

import logging
import shlex
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Protocol

from featstore.copies import on_this_machine
from featstore.corpora.choice import CorpusChoice
from featstore.corpora.known import warn_of_overlap
from featstore.corpora.mark import Marking
from featstore.errors import UsageError, did_you_mean
from featstore.records import Corpus

_SHOWN = 10  # problems that loading reports; ``cli data check`` reports all

_log = logging.getLogger(__name__)


class CorpusReader(Protocol):
    """What a reader is: the PATH of a spec (None if it has none) to a corpus.

    ``instances`` is a file that lists the pairs to take; a reader of a corpus that fixes them refuses it.
    """

    def __call__(self, path: str | None, marking: Marking, instances: Path | None) -> Corpus: ...


# name -> "module:function"
READERS: dict[str, str] = {
    "sample": "featstore.corpora.sample:read",
    "chemprot": "featstore.corpora.chemprot:read",
    "chemprot-drugprot": "featstore.corpora.chemprot_drugprot:read",
    "gad": "featstore.corpora.gad:read_gad",
    "euadr": "featstore.corpora.gad:read_euadr",
    "drugprot": "featstore.corpora.drugprot:read",
    "drugprot-new": "featstore.corpora.drugprot:read_new",
    "bc5cdr": "featstore.corpora.bc5cdr:read",
    "biored": "featstore.corpora.biored:read",
    "ddi": "featstore.corpora.ddi:read",
    "aimed": "featstore.corpora.ppi:read_aimed",
    "bioinfer": "featstore.corpora.ppi:read_bioinfer",
    "hprd50": "featstore.corpora.ppi:read_hprd50",
    "iepa": "featstore.corpora.ppi:read_iepa",
    "lll": "featstore.corpora.ppi:read_lll",
    "documents": "featstore.corpora.documents:read",
    "jsonl": "featstore.corpora.jsonl:read",
}


def load_corpus(
    spec: str = "sample", *, indicators: str = "tags", context: str = "tagged", instances: str | Path | None = None
) -> Corpus:
    """Load the corpus that ``spec`` names; places that had to be left out are logged as warnings.

    Args:
        spec: ``NAME``, for a corpus that ``cli data get`` fetched, or ``NAME:PATH``, where the path may be an address;
            see ``READERS`` for the names.
        indicators: ``tags``, ``replace`` or ``blind``.
        context: ``tagged`` or ``sentence``.
        instances: for chemprot, the list of instances to take; by default ``lim_kang_instances.tsv`` in DIR if it is
            there.

    Raises:
        UsageError: an unknown name or choice.
        MissingFileError, DataError: a file is not there, or not what its format says.
    """
    return read_corpus(CorpusChoice(spec, indicators, context, Path(instances) if instances else None))


def read_corpus(choice: CorpusChoice) -> Corpus:
    """Load the corpus that is chosen; see :func:`load_corpus`."""
    corpus = read_quietly(choice)
    for problem in corpus.problems[:_SHOWN]:
        _log.warning("left out: %s", problem.text)
    if len(corpus.problems) > _SHOWN:
        instances = [] if choice.instances is None else ["--instances", str(choice.instances)]
        _log.warning(
            "left out: %d more; `%s` names them all.",
            len(corpus.problems) - _SHOWN,
            shlex.join(["cli", "data", "check", choice.spec, *instances]),
        )
    return corpus


def read_quietly(choice: CorpusChoice) -> Corpus:
    """Load the corpus that is chosen; only its ``problems`` say what was left out."""
    name, _, path = choice.spec.partition(":")
    if name not in READERS:
        raise UsageError(
            f"corpus '{name}' is unknown; choose from {', '.join(READERS)}, each as NAME or NAME:PATH."
            f"{did_you_mean(name, list(READERS))}"
        )
    module, _, function = READERS[name].partition(":")
    reader: CorpusReader = getattr(import_module(module), function)
    place = str(on_this_machine(path)) if path else None
    corpus = replace(reader(place, choice.marking, choice.instances), spec=choice.spec)
    warn_of_overlap(corpus)
    return corpus
