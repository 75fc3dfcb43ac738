"""ChemProt (BioCreative VI), in the layout of the official release.

In: a folder with ``chemprot_training``, ``chemprot_development`` and ``chemprot_test_gs``, each holding abstracts,
entities, relations and the gold standard as tab-separated files; the test files' names end in ``_gs``, but for the
gold standard's. Out: one instance for each candidate pair of a chemical (head) and a gene or protein (tail).

*Text.* A document's text is title + line break + abstract, which is what the offsets run over; each mention must equal
its characters.

*Which pairs.* With a list of instances (``lim_kang_instances.tsv``, the 41,281 of Lim and Kang 2018 that the paper
uses) exactly those. Without one, all pairs of a chemical and a gene in one sentence. Listed pairs across
sentences are seen in all the sentences between; gold pairs that no instance covers are counted in the notes.

*Labels.* CPR:3, 4, 5, 6 and 9 are scored (flag ``"Y "``, with the blank); every other pair is ``NONE``. Some gold pairs
carry two scored labels. An instance has one: the list's, or else the group of the higher number, which is what the
list has for each of them. All its gold labels are in ``source["gold"]``, joined by commas, and the notes count
the gold standard itself (``gold test CPR:3``) and what of it no instance has for a label (``gold unreachable test
CPR:3``), so that recall can run over the gold standard, as the official evaluation's does.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from featstore.corpora.chemprot_files import (
    CHEMICALS,
    GENES,
    SCORED,
    UNRELATED,
    ChemProtFiles,
    PairIds,
    read_list,
    read_release,
)
from featstore.corpora.home import corpus_folder
from featstore.corpora.lines import files_digest
from featstore.corpora.mark import Marking
from featstore.corpora.pairs import PairTypes, SplitDocument
from featstore.gold import GoldRelation, GoldStandard, gold_pair
from featstore.records import Corpus, Instance

NEGATIVE = "NONE"
LABELS = (NEGATIVE, *SCORED)
LIST_NAME = "lim_kang_instances.tsv"
TYPES = PairTypes(head=CHEMICALS, tail=GENES, words={"chem": "bc6entc", "gene": "bc6entg"})


def read(path: str | None, marking: Marking, instances: Path | None) -> Corpus:
    """Read ChemProt.

    Args:
        path: the folder; None means where ``cli data get`` puts it.
        instances: the list of instances; None means ``lim_kang_instances.tsv`` in the folder if it is there.

    Raises:
        MissingFileError: a file is not there.
        DataError: a malformed row, an unknown id, a mention that is not its characters, a list that contradicts the
            gold standard.
    """
    folder = corpus_folder("chemprot", path)
    if instances is None and (folder / LIST_NAME).exists():
        instances = folder / LIST_NAME
    release = read_release(folder)
    texts = {pmid: SplitDocument.of(document) for pmid, document in release.documents.items()}
    candidates = [(pmid, h.id, t.id) for pmid, text in texts.items() for h, t in text.candidates(TYPES)]
    if instances is not None:
        chosen = read_list(instances, release)
    else:
        chosen = {pair: release.gold.get(pair, (UNRELATED,))[-1] for pair in candidates}
    notes = {
        "documents": len(texts),
        "mentions": sum(len(document.entities) for document in release.documents.values()),
        "mentions agreeing": sum(
            document.text[e.start : e.end] == e.text
            for document in release.documents.values()
            for e in document.entities
        ),
        "sentences": sum(len(text.sentences.spans) for text in texts.values()),
        "boundaries glued": sum(text.sentences.glued for text in texts.values()),
        "pairs across sentences": len(chosen.keys() - candidates),
        "candidates not listed": len(set(candidates) - chosen.keys()),
        "pairs with two gold labels": sum(len(release.gold.get(pair, ())) > 1 for pair in chosen),
        **_gold_counts(release, chosen),
    }
    return Corpus(
        spec=f"chemprot:{folder}",
        name="chemprot",
        instances=tuple(_instance(pair, label, texts[pair[0]], release, marking) for pair, label in chosen.items()),
        labels=LABELS,
        positive=SCORED,
        indicators=marking.indicators,
        context=marking.context,
        digest=files_digest([*release.paths, *([instances] if instances else [])]),
        notes=notes,
        gold=GoldStandard(
            tuple(
                GoldRelation(gold_pair(*pair), group, release.documents[pair[0]].split)
                for pair, groups in release.gold.items()
                for group in groups
            ),
            {_id(pair): (gold_pair(*pair),) for pair in chosen},
        ),
        documents={pmid: document.split for pmid, document in release.documents.items()},
    )


def _id(pair: PairIds) -> str:
    return ":".join(("chemprot", *pair))


def _instance(pair: PairIds, label: str, text: SplitDocument, release: ChemProtFiles, marking: Marking) -> Instance:
    pmid, chemical, gene = pair
    entities = release.entities[pmid]
    source = {"pmid": pmid, "head": chemical, "tail": gene, "gold": ",".join(release.gold.get(pair, ()))}
    return text.instance(
        _id(pair),
        entities[chemical],
        entities[gene],
        TYPES,
        marking,
        label=NEGATIVE if label == UNRELATED else label,
        source=source,
    )


def _gold_counts(release: ChemProtFiles, chosen: dict[PairIds, str]) -> dict[str, int]:
    """Count the gold standard by split and group, and what of it is no instance's label."""
    gold: Counter[str] = Counter()
    unreachable: Counter[str] = Counter()
    for pair, groups in release.gold.items():
        split = release.documents[pair[0]].split
        gold.update(f"gold {split} {group}" for group in groups)
        unreachable.update(f"gold unreachable {split} {group}" for group in groups if chosen.get(pair) != group)
    return dict(sorted(gold.items())) | dict(sorted(unreachable.items()))
