"""What the labels of the corpora mean, in words.

In: a label, and the corpus that it is of where the label alone does not say (``1``). Out: its meaning, for tables,
pages and cards. Labels of a user's own corpus are not here, and stand for themselves.

Sources: the annotation guidelines of ChemProt (BioCreative VI, its groups CPR:1 to CPR:10), DrugProt (BioCreative
VII), BC5CDR (BioCreative V), DDIExtraction 2013, BioRED (Luo et al. 2022), GAD and EU-ADR (Bravo et al. 2015), and the
unified form of AIMed, BioInfer, HPRD50, IEPA and LLL (Pyysalo et al. 2008).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a label says of its pair.

    Attributes:
        name: in a word or two.
        detail: what it takes in, or what is meant exactly; may be empty.
    """

    name: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.detail})" if self.detail else self.name


_CHEMPROT = {
    "CPR:1": Meaning("part", "part of"),
    "CPR:2": Meaning("regulation", "regulator, direct regulator, indirect regulator"),
    "CPR:3": Meaning("up-regulation", "upregulator, activator, indirect upregulator"),
    "CPR:4": Meaning("down-regulation", "downregulator, inhibitor, indirect downregulator"),
    "CPR:5": Meaning("agonism", "agonist, agonist-activator, agonist-inhibitor"),
    "CPR:6": Meaning("antagonism", "antagonist"),
    "CPR:7": Meaning("modulation", "modulator, modulator-activator, modulator-inhibitor"),
    "CPR:8": Meaning("cofactor", "cofactor"),
    "CPR:9": Meaning("substrate or product", "substrate, product of, substrate and product of"),
    "CPR:10": Meaning("no relation", "the text says that there is none"),
}
_DRUGPROT = {
    "ACTIVATOR": Meaning("activator", "the chemical activates the gene product"),
    "AGONIST": Meaning("agonist", "the chemical binds a receptor and activates it"),
    "AGONIST-ACTIVATOR": Meaning("agonist and activator"),
    "AGONIST-INHIBITOR": Meaning("agonist and inhibitor"),
    "ANTAGONIST": Meaning("antagonist", "the chemical binds a receptor and blocks its agonists"),
    "DIRECT-REGULATOR": Meaning("direct regulator", "the chemical binds the gene product and changes its activity"),
    "INDIRECT-DOWNREGULATOR": Meaning("indirect down-regulation", "less of the gene's expression or activity"),
    "INDIRECT-UPREGULATOR": Meaning("indirect up-regulation", "more of the gene's expression or activity"),
    "INHIBITOR": Meaning("inhibitor", "the chemical binds the gene product and lowers its activity"),
    "PART-OF": Meaning("part", "the chemical is a part of the gene product"),
    "PRODUCT-OF": Meaning("product", "the chemical is made by the gene product"),
    "SUBSTRATE": Meaning("substrate", "the gene product acts on the chemical"),
    "SUBSTRATE_PRODUCT-OF": Meaning("substrate and product"),
}
_DDI = {
    "ADVISE": Meaning("advice", "a recommendation on taking both drugs"),
    "EFFECT": Meaning("effect", "one drug changes what the other does"),
    "INT": Meaning("interaction", "the drugs interact; the text does not say how"),
    "MECHANISM": Meaning("mechanism", "one drug changes how the body takes up or breaks down the other"),
}
_BIORED = {
    "Association": Meaning("association"),
    "Positive_Correlation": Meaning("positive correlation", "one goes up with the other"),
    "Negative_Correlation": Meaning("negative correlation", "one goes down as the other goes up"),
    "Bind": Meaning("binding"),
    "Cotreatment": Meaning("co-treatment", "given together"),
    "Comparison": Meaning("comparison", "of two drugs"),
    "Drug_Interaction": Meaning("drug interaction"),
    "Conversion": Meaning("conversion", "one is made from the other"),
}
_GENERAL = {
    "CID": Meaning("chemical-induced disease", "the chemical causes the disease"),
    "GDA": Meaning("gene-disease association"),
    "PPI": Meaning("protein-protein interaction"),
}
_PROTEINS = dict.fromkeys(("1", "True", "PPI"), _GENERAL["PPI"])
# Corpora whose labels are numbers, or words that mean something else elsewhere.
_BY_CORPUS: dict[str, Mapping[str, Meaning]] = {
    **{name: {"1": _GENERAL["GDA"]} for name in ("gad", "euadr")},
    **dict.fromkeys(("ddi", "ddi2013"), _DDI),
    **dict.fromkeys(("ppi", "aimed", "bioinfer", "hprd50", "iepa", "lll"), _PROTEINS),
}


def _spelled(label: str) -> str:
    """Return a label as releases agree on it: they differ in capitals, and in ``-`` and ``_``."""
    return "".join(filter(str.isalnum, label)).casefold()


_ALONE = {
    _spelled(label): meaning
    for labels in (_CHEMPROT, _DRUGPROT, _BIORED, _GENERAL)
    for label, meaning in labels.items()
}


def meaning_of(label: str, corpus: str = "") -> Meaning | None:
    """Return what a label means, or None if this project does not know.

    Args:
        label: as the model has it.
        corpus: the name of the corpus that the model was trained on (``gad``).
    """
    own = {_spelled(name): meaning for name, meaning in _BY_CORPUS.get(corpus.casefold(), {}).items()}
    return own.get(_spelled(label)) or _ALONE.get(_spelled(label))


def in_words(label: str, corpus: str = "") -> str:
    """Return a label with its meaning: ``CPR:4 down-regulation (downregulator, inhibitor, ..)``; else the label."""
    meaning = meaning_of(label, corpus)
    return f"{label} {meaning}" if meaning else label
