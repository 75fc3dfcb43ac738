"""The entity types that are tagged, and the names that corpora give them.

In: a type as a corpus or a document spells it. Out: ``CHEMICAL``, ``GENE`` or ``DISEASE``, or None for any other.
"""

from __future__ import annotations

TYPES = ("CHEMICAL", "GENE", "DISEASE")

# As ChemProt, BC5CDR, BioRED, PubTator and the BioNLP tasks spell them, in small letters.
_SYNONYMS = {
    "chemical": "CHEMICAL",
    "chemicalentity": "CHEMICAL",
    "simplechemical": "CHEMICAL",
    "drug": "CHEMICAL",
    "gene": "GENE",
    "gene-y": "GENE",
    "gene-n": "GENE",
    "protein": "GENE",
    "geneorgeneproduct": "GENE",
    "disease": "DISEASE",
    "diseaseorphenotypicfeature": "DISEASE",
}


def tagged_type(type_: str) -> str | None:
    """Return the type that a tagger gives to what a corpus calls ``type_``; None if it tags no such thing."""
    return _SYNONYMS.get(type_.lower())
