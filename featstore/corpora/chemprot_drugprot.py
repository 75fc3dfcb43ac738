"""ChemProt with more to learn from: the documents of DrugProt that ChemProt does not hold.

In: the folder of ChemProt and that of DrugProt, as ``CHEMPROT,DRUGPROT``. Out: ChemProt's instances in their parts,
and in the training part also those of DrugProt's documents (of its training and its development set) that are in no
part of ChemProt. Dev and test part are ChemProt's own, so scores can be compared with those of a model of ChemProt
alone.

*Labels.* DrugProt's types are what ChemProt's groups are made of (Krallinger et al. 2017; Miranda-Escalada et al.
2023): ``INHIBITOR`` is of CPR:4, for instance. Types of groups that are not scored become ``NONE``, as in ChemProt. A
pair of two groups has the one of the higher number, as there.

*Overlap.* Both corpora were drawn from the same abstracts, and a document is known by its PubMed id: all of ChemProt's
test documents and most others are in DrugProt, where some pairs have another label. Only ChemProt's version is used.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from featstore.corpora import chemprot, drugprot
from featstore.corpora.mark import Marking
from featstore.errors import UsageError
from featstore.gold import GoldPair
from featstore.records import Corpus

NAME = "chemprot-drugprot"
GROUPS: Mapping[str, str] = {
    "ACTIVATOR": "CPR:3",
    "INDIRECT-UPREGULATOR": "CPR:3",
    "INHIBITOR": "CPR:4",
    "INDIRECT-DOWNREGULATOR": "CPR:4",
    "AGONIST": "CPR:5",
    "AGONIST-ACTIVATOR": "CPR:5",
    "AGONIST-INHIBITOR": "CPR:5",
    "ANTAGONIST": "CPR:6",
    "SUBSTRATE": "CPR:9",
    "PRODUCT-OF": "CPR:9",
    "SUBSTRATE_PRODUCT-OF": "CPR:9",
}


def read(path: str | None, marking: Marking, instances: Path | None) -> Corpus:
    """Read ChemProt, and what DrugProt adds to its training part.

    Args:
        path: both folders, separated by a comma; None means where ``cli data get`` puts them.
        instances: the list of ChemProt's instances, as :func:`featstore.corpora.chemprot.read` takes it.

    Raises:
        UsageError: ``path`` is not two folders.
        MissingFileError, DataError: as the readers of both corpora.
    """
    folders = path.split(",") if path else [None, None]
    if len(folders) != 2 or "" in folders:
        raise UsageError(
            f"'{NAME}:{path}' names {len(list(filter(None, folders)))} of two folders; write "
            f"{NAME}:CHEMPROT,DRUGPROT with the folder of each corpus."
        )
    own = chemprot.read(folders[0], marking, instances)
    other = drugprot.read(folders[1], marking, None)
    groups = _groups(other)
    more = tuple(
        replace(instance, split="train", label=groups.get(instance.id, chemprot.NEGATIVE))
        for instance in other.instances
        if instance.source["document"] not in own.documents
    )
    added = {instance.source["document"]: "train" for instance in more}
    return replace(
        own,
        spec=f"{NAME}:{path}" if path else NAME,
        name=NAME,
        instances=(*own.instances, *more),
        digest=hashlib.sha256(bytes.fromhex(own.digest + other.digest)).hexdigest(),
        notes={**own.notes, "documents from DrugProt": len(added), "instances from DrugProt": len(more)},
        problems=(*own.problems, *other.problems),
        documents={**own.documents, **added},
    )


def _groups(corpus: Corpus) -> dict[str, str]:
    """Return ChemProt's group of each instance of DrugProt that has one that is scored, by the instance's id."""
    assert corpus.gold is not None
    found: dict[GoldPair, list[str]] = defaultdict(list)
    for relation in corpus.gold.relations:
        if relation.label in GROUPS:
            found[relation.pair].append(GROUPS[relation.label])
    return {
        id_: max(groups)
        for id_, pairs in corpus.gold.pairs.items()
        if (groups := [g for p in pairs for g in found.get(p, ())])
    }
