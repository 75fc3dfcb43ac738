"""Pairs without labels: documents with mentions, paired and marked as a labelled corpus is.

In: documents with mentions, in any format that is read (``cli entities tag`` writes them from plain text), and a
labelled corpus. Out: an instance without a label for each pair of the corpus's types in one sentence. A head learns
from them what a teacher says of them (``cli train --teacher .. --unlabelled ..``).

*Overlap.* A model is chosen on the corpus's dev part and measured on its test part, so the text of both must not be
learnt from in this way either. A document with the id of one there is left out, and so is each pair whose sentence is
nearly one there, as :mod:`featstore.corpora.overlap` defines it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from featstore.copies import on_this_machine
from featstore.corpora.documents import places_inside
from featstore.corpora.mark import Marking
from featstore.corpora.overlap import nearly_among
from featstore.corpora.pairs import PairTypes, instances_from_documents
from featstore.documents import Document, Problem
from featstore.errors import DataError, count_of
from featstore.fingerprint import fingerprint
from featstore.formats import BadDocument, SeenDocuments, read_documents
from featstore.pairing import Pairing, pairing_of
from featstore.records import Corpus, Instance
from featstore.types import kind_of

NAME = "unlabelled"  # what the instances' ids begin with
_SHOWN = 10  # problems that are logged

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Unlabelled:
    """Pairs without labels.

    Attributes:
        instances: the pairs.
        documents: how many documents were read.
        held_out: pairs that were left out because the corpus holds their text in a part that is not learnt from.
        problems: the places that were left out because they are not what the format says.
    """

    instances: tuple[Instance, ...]
    documents: int
    held_out: int
    problems: tuple[Problem, ...]

    @property
    def digest(self) -> str:
        """A hash of all that a head and a teacher see of the pairs."""
        seen = [[i.id, i.key.hex(), list(i.layout), list(i.tags), list(i.head), list(i.tail)] for i in self.instances]
        return fingerprint({NAME: seen})


def read_unlabelled(path: str | Path, corpus: Corpus, held_out: Sequence[Instance] = ()) -> Unlabelled:
    """Read documents with mentions and pair them as a corpus does; what had to be left out is logged as a warning.

    Args:
        path: a file, a folder of files or of a format that is one, or an address of either.
        corpus: the labelled corpus; it says which types make a pair, and how a pair is marked.
        held_out: those of its instances whose text must not be learnt from.

    Raises:
        UsageError: a format that cannot be determined.
        MissingFileError: there is nothing at the path.
        DataError: no pair is left; the text says why.
    """
    pairing = pairing_of(corpus.instances, corpus.indicators)
    marking = Marking(corpus.indicators, corpus.context, pairing.masks(corpus.indicators))
    others = {id_ for id_, part in corpus.documents.items() if part in ("dev", "test")}
    problems: list[Problem] = []
    documents = [_of_kinds(document, pairing) for document in _documents(on_this_machine(path), problems)]
    heads, tails = (frozenset(kind[place] for kind in pairing.kinds) for place in (0, 1))
    types = PairTypes(heads, tails, pairing.words, frozenset(pairing.kinds))
    pairs = list(instances_from_documents(documents, types, marking, problems, prefix=f"{NAME}:"))
    near = nearly_among(pairs, held_out)
    kept = tuple(
        pair for pair, is_near in zip(pairs, near, strict=True) if not is_near and pair.source["document"] not in others
    )
    if not kept:
        left = f"all {len(pairs):,} are of text that the corpus holds out" if pairs else "there is none"
        raise DataError(
            f"{path} has no pair to learn from: in {count_of(len(documents), 'document')}, of the pairs of "
            f"{pairing.in_words} in one sentence {left}. Plain text gets its mentions by `cli entities tag`."
        )
    found = Unlabelled(kept, len(documents), len(pairs) - len(kept), tuple(problems))
    _tell_left_out(path, found)
    return found


def _tell_left_out(path: str | Path, found: Unlabelled) -> None:
    """Log what is not learnt from, the first of many problems."""
    for problem in found.problems[:_SHOWN]:
        _log.warning("left out: %s", problem.text)
    if len(found.problems) > _SHOWN:
        _log.warning("left out: %d more of %s", len(found.problems) - _SHOWN, path)
    if found.held_out:
        _log.warning(
            "left out: %s of %s, because the corpus's dev or test part holds their text",
            count_of(found.held_out, "pair"),
            path,
        )


def _documents(path: Path, problems: list[Problem]) -> Iterator[Document]:
    """Yield the documents of a file or folder; those that are bad, or given twice, are problems."""
    seen = SeenDocuments()
    for found in chain.from_iterable(read_documents(p.path, p.format, seen=seen) for p in places_inside(path, None)):
        if isinstance(found, BadDocument):
            problems.append(Problem(f"{found.where}: document {found.id or '(without an id)'}: {found.why}"))
        else:
            problems += (problem for problem in found.problems if problem.lost)
            yield found


def _of_kinds(document: Document, pairing: Pairing) -> Document:
    """Return a document with those mentions alone that may be of a pair, each with the name of its kind."""
    kinds = [(entity, kind_of(entity.type, pairing.types)) for entity in document.entities]
    return replace(document, entities=tuple(replace(entity, type=kind) for entity, kind in kinds if kind), split=None)
