"""The files of a ChemProt folder, read and checked against each other.

In: a folder in the official layout. Out: documents with entities, the gold labels of pairs, a list of instances. What
the corpus *means* (which pairs, which labels) is in :mod:`featstore.corpora.chemprot`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from featstore.corpora.lines import Row, read_rows
from featstore.documents import Document, Entity
from featstore.formats.chemprot_tables import ABSTRACT, ENTITY, abstract_of, entity_of
from featstore.formats.content import Flaw, make_entity

SCORED = ("CPR:3", "CPR:4", "CPR:5", "CPR:6", "CPR:9")
CHEMICALS = frozenset({"CHEMICAL"})
GENES = frozenset({"GENE-Y", "GENE-N"})
UNRELATED = "false"  # the negative label of a list of instances

SPLITS = {
    "train": "chemprot_training/chemprot_training_{}.tsv",
    "dev": "chemprot_development/chemprot_development_{}.tsv",
    "test": "chemprot_test_gs/chemprot_test_{}_gs.tsv",
}

# (pmid, chemical id, gene id)
PairIds = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class ChemProtFiles:
    """A folder's content.

    Attributes:
        documents: by pmid, in the order train, dev, test.
        entities: the entities of each document by id.
        gold: the scored labels of each pair that has any, rising.
        paths: the files read.
    """

    documents: Mapping[str, Document]
    entities: Mapping[str, Mapping[str, Entity]]
    gold: Mapping[PairIds, tuple[str, ...]]
    paths: tuple[Path, ...]


def file_of(folder: Path, split: str, what: str) -> Path:
    """Return the path of the ``abstracts``, ``entities``, ``relations`` or ``gold_standard`` of a split."""
    return folder / SPLITS[split].format(what).replace("gold_standard_gs", "gold_standard")


def read_release(folder: Path) -> ChemProtFiles:
    """Read the three splits of a folder.

    Raises:
        MissingFileError: a file is not there.
        DataError: a malformed row, an unknown id, a mention that is not its characters, a gold standard that is not
            the scored relations.
    """
    documents: dict[str, Document] = {}
    entities: dict[str, dict[str, Entity]] = {}
    gold: dict[PairIds, tuple[str, ...]] = {}
    paths: list[Path] = []
    for split in SPLITS:
        abstracts, mentions, relations, standard = (
            file_of(folder, split, what) for what in ("abstracts", "entities", "relations", "gold_standard")
        )
        texts = _read_texts(abstracts, known=documents)
        found = _read_entities(mentions, texts)
        for pmid, text in texts.items():
            entities[pmid] = found.get(pmid, {})
            documents[pmid] = Document(pmid, text, tuple(entities[pmid].values()), split)
        scored = _read_relations(relations, entities)
        _check_standard(standard, scored)
        gold.update((pair, tuple(sorted(rows))) for pair, rows in scored.items())
        paths += [abstracts, mentions, relations, standard]
    return ChemProtFiles(documents, entities, gold, tuple(paths))


def read_list(path: Path, release: ChemProtFiles) -> dict[PairIds, str]:
    """Read a list of instances: split, pmid, chemical id, gene id, label (``false`` or a scored group).

    Raises:
        MissingFileError: there is no such file.
        DataError: a malformed row, an unknown id or label, a pair given twice, a label that the gold standard
            contradicts.
    """
    listed: dict[PairIds, str] = {}
    for row in read_rows(path, ("split", "pmid", "chemical", "gene", "label"), header=True):
        split, pmid, chemical, gene, label = row.fields
        pair = _pair(row, pmid, chemical, gene, release.entities)
        if split != release.documents[pmid].split:
            raise row.error(f"the split is '{split}', but document {pmid} is in {release.documents[pmid].split}.")
        if pair in listed:
            raise row.error(f"the pair {chemical}, {gene} of document {pmid} is given twice.")
        gold = release.gold.get(pair, (UNRELATED,))
        if label not in gold:
            raise row.error(f"the label is '{label}', but the gold standard has {' and '.join(gold)}.")
        listed[pair] = label
    return listed


def read_entity(
    row: Row, texts: Mapping[str, str], known: Mapping[str, Mapping[str, Entity]], types: Collection[str]
) -> tuple[str, Entity]:
    """Return the document and the entity of a row, checked against the text.

    Args:
        row: a row of the entities.
        texts: the text of each document.
        known: the entities that were read before, by document and id.
        types: the types that are allowed.

    Raises:
        DataError: an unknown document or type, a malformed offset, an id that is given twice, or a mention that is not
            the characters at its offsets.
    """
    try:
        given = entity_of(row.fields)
        if given.document not in texts:
            raise row.error(f"the document {given.document} is not among the abstracts.")
        if given.type not in types:
            raise row.error(f"the type is '{given.type}'; {', '.join(types)} are allowed.")
        if given.id in known.get(given.document, {}):
            raise row.error(f"the entity {given.id} of document {given.document} is given twice.")
        text = texts[given.document]
        return given.document, make_entity(text, given.id, given.type, given.start, given.end, mention=given.mention)
    except Flaw as flaw:
        raise row.error(flaw.why) from flaw


def _read_texts(path: Path, known: Mapping[str, Document]) -> dict[str, str]:
    """Return title + line break + abstract by pmid; ``known`` are the documents of other splits."""
    texts: dict[str, str] = {}
    for row in read_rows(path, ABSTRACT):
        pmid, text = abstract_of(row.fields)
        if pmid in texts or pmid in known:
            raise row.error(f"the document {pmid} is given twice.")
        texts[pmid] = text
    return texts


def _read_entities(path: Path, texts: Mapping[str, str]) -> dict[str, dict[str, Entity]]:
    """Return the entities by pmid and id, each checked against its text."""
    entities: dict[str, dict[str, Entity]] = defaultdict(dict)
    for row in read_rows(path, ENTITY):
        pmid, entity = read_entity(row, texts, entities, sorted(CHEMICALS | GENES))
        entities[pmid][entity.id] = entity
    return entities


def _read_relations(path: Path, entities: Mapping[str, Mapping[str, Entity]]) -> dict[PairIds, dict[str, Row]]:
    """Return the scored groups of each pair with their rows: those with the flag ``Y``."""
    scored: dict[PairIds, dict[str, Row]] = defaultdict(dict)
    for row in read_rows(path, ("pmid", "group", "evaluated", "name", "Arg1", "Arg2")):
        pmid, group, flag, _, first, second = row.fields
        if flag.rstrip() not in ("Y", "N"):
            raise row.error(f"the evaluation flag is '{flag}'; Y or N is wanted.")
        if (flag.rstrip() == "Y") != (group in SCORED):
            raise row.error(f"the group {group} has the flag {flag.rstrip()}; {', '.join(SCORED)} alone have Y.")
        pair = _pair(row, pmid, _argument(row, first, "Arg1:"), _argument(row, second, "Arg2:"), entities)
        if group in SCORED:
            scored[pair][group] = row
    return scored


def _check_standard(path: Path, scored: Mapping[PairIds, Mapping[str, Row]]) -> None:
    """Check that a gold standard holds exactly the scored relations."""
    standard = set()
    for row in read_rows(path, ("pmid", "group", "Arg1", "Arg2")):
        pmid, group, first, second = row.fields
        pair = (pmid, _argument(row, first, "Arg1:"), _argument(row, second, "Arg2:"))
        if group not in scored.get(pair, {}):
            raise row.error("this relation is not among the relations with the flag Y.")
        standard.add((pair, group))
    for pair, groups in scored.items():
        for group, row in groups.items():
            if (pair, group) not in standard:
                raise row.error(f"this relation is not in {path.name}.")


def _argument(row: Row, given: str, prefix: str) -> str:
    """Return the id in ``Arg1:T12``."""
    if not given.startswith(prefix) or given == prefix:
        raise row.error(f"'{given}' is not an argument; {prefix}ID is wanted.")
    return given.removeprefix(prefix)


def _pair(row: Row, pmid: str, chemical: str, gene: str, entities: Mapping[str, Mapping[str, Entity]]) -> PairIds:
    """Return the pair that a row names, a chemical and a gene of one document."""
    if pmid not in entities:
        raise row.error(f"the document {pmid} is not among the abstracts.")
    for id_, types in ((chemical, CHEMICALS), (gene, GENES)):
        if id_ not in entities[pmid]:
            raise row.error(f"the entity {id_} is not among those of document {pmid}.")
        if entities[pmid][id_].type not in types:
            raise row.error(
                f"the entity {id_} is of type {entities[pmid][id_].type}; {' or '.join(sorted(types))} is wanted here."
            )
    return pmid, chemical, gene
