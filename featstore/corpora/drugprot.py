"""DrugProt (BioCreative VII, track 1): thirteen types of relations between chemicals and genes.

In: the folder or zip archive of the release (``drugprot_training_abstracs.tsv``, ``.._entities.tsv``,
``.._relations.tsv`` and the same of ``development``). Out: an instance for each pair of a chemical and a gene mention
in one sentence, and the relations between mentions, over which the official score runs.

*Parts.* The labels of the official test set were never published. The development set is the test part here, and a
tenth of the training set, drawn by sentence, serves as the dev part.

*Overlap.* All 800 documents of ChemProt's test set are in DrugProt, 565 of them in its training set.
``drugprot-new`` is the same corpus without these in its training part.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from featstore.corpora.annotated import RelationTask, Source, corpus_of
from featstore.corpora.chemprot_files import read_entity
from featstore.corpora.known import chemprot_test
from featstore.corpora.mark import Marking
from featstore.corpora.release import Release, open_release, refuse_list
from featstore.documents import Document, Entity, Problem, StatedRelation
from featstore.errors import DataError
from featstore.formats.chemprot_tables import ABSTRACT, ENTITY, abstract_of
from featstore.records import Corpus

TASK = RelationTask(
    positive=(
        "INHIBITOR",
        "DIRECT-REGULATOR",
        "SUBSTRATE",
        "ACTIVATOR",
        "INDIRECT-UPREGULATOR",
        "INDIRECT-DOWNREGULATOR",
        "ANTAGONIST",
        "PRODUCT-OF",
        "PART-OF",
        "AGONIST",
        "AGONIST-ACTIVATOR",
        "SUBSTRATE_PRODUCT-OF",
        "AGONIST-INHIBITOR",
    ),
    kinds=tuple(("CHEMICAL", gene) for gene in ("GENE-Y", "GENE-N", "GENE")),
)
_TYPES = ("CHEMICAL", "GENE-Y", "GENE-N", "GENE")
_SPLITS = {"train": "training", "test": "development"}
# The release writes "abstracs".
_FILES = {"abstracts": ("abstracs", "abstracts"), "entities": ("entities",), "relations": ("relations",)}


def read(path: str | None, marking: Marking, instances: Path | None) -> Corpus:
    """Read DrugProt; what is wrong with single rows is in the corpus's problems.

    Raises:
        UsageError: ``instances`` is given.
        MissingFileError: a file is not there.
        DataError: a file that cannot be read, or a document given twice.
    """
    return _read("drugprot", path, marking, instances, frozenset())


def read_new(path: str | None, marking: Marking, instances: Path | None) -> Corpus:
    """Read DrugProt without the documents of ChemProt's test set in its training part; as :func:`read`."""
    return _read("drugprot-new", path, marking, instances, chemprot_test())


def _read(name: str, path: str | None, marking: Marking, instances: Path | None, left_out: frozenset[str]) -> Corpus:
    refuse_list(name, instances)
    release = open_release("drugprot", path)
    problems: list[Problem] = []
    files = {
        (split, what): release.one(*(f"drugprot_{part}_{ending}.tsv" for ending in endings))
        for split, part in _SPLITS.items()
        for what, endings in _FILES.items()
    }

    def sources() -> Iterator[Source]:
        for split in _SPLITS:
            abstracts, entities, relations = (files[split, what] for what in _FILES)
            for document in _documents(release, (abstracts, entities, relations), split, problems):
                if split != "train" or document.id not in left_out:
                    yield Source(document, release.place(relations))

    return corpus_of(name, sources(), TASK, marking, digest=release.digest(files.values()), problems=problems)


def _documents(
    release: Release, names: tuple[str, str, str], split: str, problems: list[Problem]
) -> Iterator[Document]:
    """Yield the documents of a part; a malformed row is reported as a problem."""
    texts: dict[str, str] = {}
    for row in release.rows(names[0], ABSTRACT, problems):
        pmid, text = abstract_of(row.fields)
        if pmid in texts:
            problems.append(Problem.of(row.error(f"the document {pmid} is given twice.")))
        else:
            texts[pmid] = text
    entities: dict[str, dict[str, Entity]] = defaultdict(dict)
    for row in release.rows(names[1], ENTITY, problems):
        try:
            pmid, entity = read_entity(row, texts, entities, _TYPES)
        except DataError as error:
            problems.append(Problem.of(error))
        else:
            entities[pmid][entity.id] = entity
    relations: dict[str, list[StatedRelation]] = defaultdict(list)
    for row in release.rows(names[2], ("pmid", "type", "Arg1", "Arg2"), problems):
        pmid, label, *arguments = row.fields
        if pmid not in texts:
            problems.append(Problem.of(row.error(f"the document {pmid} is not among the abstracts.")))
        else:
            ids = tuple(argument.partition(":")[2] for argument in arguments)
            relations[pmid].append(StatedRelation(label, ids, row.line))
    for pmid, text in texts.items():
        yield Document(pmid, text, tuple(entities[pmid].values()), split, relations=tuple(relations[pmid]))
