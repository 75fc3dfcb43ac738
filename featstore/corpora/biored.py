"""BioRED: eight types of relations between genes, diseases, chemicals and variants.

In: the folder or zip archive of the release (``Train.PubTator``, ``Dev.PubTator``, ``Test.PubTator``; the BioC files
where those are not there). Out: an instance for each pair of two mentions in one sentence whose types the task relates,
the official split, and the relations of each document between two concepts, over which the score runs: pair and type
of the relation must be right (the corpus's second measure; which argument is named first does not matter).

The types are called ``GENE``, ``DISEASE``, ``CHEMICAL`` and ``VARIANT`` here, so that they get other corpora's tags.
Whether a relation is new (``Novel``, ``No``) is not read. Organisms and cell lines are in no relation and make no
pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from featstore.corpora.annotated import RelationTask, Source, corpus_of, with_split
from featstore.corpora.mark import Marking
from featstore.corpora.release import open_release, refuse_list
from featstore.documents import Document, Problem
from featstore.records import Corpus

_CHEMICAL, _DISEASE, _GENE, _VARIANT = "CHEMICAL", "DISEASE", "GENE", "VARIANT"
# The corpus's names of these types.
_TYPES = {
    "ChemicalEntity": _CHEMICAL,
    "DiseaseOrPhenotypicFeature": _DISEASE,
    "GeneOrGeneProduct": _GENE,
    "SequenceVariant": _VARIANT,
}
TASK = RelationTask(
    positive=(
        "Association",
        "Positive_Correlation",
        "Negative_Correlation",
        "Bind",
        "Cotreatment",
        "Comparison",
        "Drug_Interaction",
        "Conversion",
    ),
    kinds=(
        (_GENE, _DISEASE),
        (_GENE, _GENE),
        (_CHEMICAL, _GENE),
        (_CHEMICAL, _DISEASE),
        (_CHEMICAL, _CHEMICAL),
        (_VARIANT, _DISEASE),
        (_CHEMICAL, _VARIANT),
        (_VARIANT, _VARIANT),
    ),
    concepts=True,
    separators=",",
)
_SPLITS = ("train", "dev", "test")


def read(path: str | None, marking: Marking, instances: Path | None) -> Corpus:
    """Read BioRED; what is wrong with single documents or relations is in the corpus's problems.

    Raises:
        UsageError: ``instances`` is given.
        MissingFileError: a file is not there.
        DataError: a file that is not of its format, or a document given twice.
    """
    refuse_list("biored", instances)
    release = open_release("biored", path)
    names = {split: release.one(f"{split}.pubtator", f"{split}.bioc.xml", f"{split}.bioc.json") for split in _SPLITS}
    problems: list[Problem] = []

    def sources() -> Iterator[Source]:
        for split, name in names.items():
            format_ = {"xml": "bioc-xml", "json": "bioc-json"}.get(name.lower().rpartition(".")[2], "pubtator")
            for document in with_split(release.documents(name, format_, problems), split):
                yield Source(_renamed(document), release.place(name))

    return corpus_of("biored", sources(), TASK, marking, digest=release.digest(names.values()), problems=problems)


def _renamed(document: Document) -> Document:
    """Return a document whose types have the names that they have in other corpora, and so the same tags."""
    entities = (replace(entity, type=_TYPES.get(entity.type, entity.type)) for entity in document.entities)
    return replace(document, entities=tuple(entities))
