"""The types of mentions, and the names that corpora and tools give to one and the same type.

In: the type of a mention, as a file has it (``SimpleChemical``, ``GENE-Y``), and the types that a model knows. Out:
which of the model's types it is, if any. Spelling does not matter: letters and digits are compared, in small letters.

A model's own types are *kinds*, spelled as its tags spell them (``chem``, ``gene``, ``dise``, ``drug``). A kind of the
same spelling comes first, so that a model that was trained on ``DRUG`` keeps ``DRUG`` apart from ``CHEMICAL``; a
synonym serves where the model has no such kind. What the table does not hold is said by the user
(``cli extract --types DRUG=CHEMICAL``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from featstore.errors import UsageError

# The name shown -> all names of the type, spelled as `_spelled` spells them. Sources: the guidelines of ChemProt and
# DrugProt, BC5CDR, BioRED, DDI 2013, AIMed and BioInfer, JNLPBA, NCBI Disease, SPECIES-800, PubTator 3, the BioNLP
# shared tasks, HunFlair2, scispaCy.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "CHEMICAL": (
        *("chem", "chemical", "chemicals", "chemicalentity", "simplechemical", "chemicalcompound", "chemicalsubstance"),
        *("compound", "compounds", "smallmolecule", "molecule", "substance", "chebi", "metabolite"),
        *("drug", "drugs", "drugn", "brand", "group", "medication", "pharmacologicsubstance"),
    ),
    "GENE": (
        *("gene", "genes", "geney", "genen", "geneorgeneproduct", "geneproduct", "ggp", "dna", "rna", "genefamily"),
        *(
            "protein",
            "proteins",
            "individualprotein",
            "proteinfamily",
            "proteincomplex",
            "geneprotein",
            "geneorprotein",
        ),
        "target",
    ),
    "DISEASE": (
        *("dise", "disease", "diseases", "diseaseorphenotypicfeature", "diseaseclass", "specificdisease"),
        *("compositemention", "disorder", "disorders", "diseaseorsyndrome", "phenotype"),
    ),
    "VARIANT": (
        *("variant", "sequencevariant", "mutation", "dnamutation", "proteinmutation", "snp", "dnaallele"),
        *("proteinallele", "dnachange", "proteinchange"),
    ),
    "SPECIES": ("species", "organism", "organismtaxon", "taxon"),
    "CELL LINE": ("cellline",),
}
_GROUP = {name: shown for shown, names in SYNONYMS.items() for name in names}


def shown(kind: str) -> str:
    """Return a kind as people write it: ``chem`` is CHEMICAL, ``drug`` is DRUG."""
    return {"chem": "CHEMICAL", "dise": "DISEASE"}.get(kind, kind.upper())


def kind_of(type_: str, kinds: Collection[str], renamed: Mapping[str, str] | None = None) -> str | None:
    """Return the kind that a mention's type is, or None if it is none of them.

    Args:
        type_: the type as the file has it.
        kinds: those of the model, as its tags spell them.
        renamed: the user's own names: type in the file -> type that is meant.
    """
    spelling = _spelled(type_)
    spelling = {_spelled(name): _spelled(meant) for name, meant in (renamed or {}).items()}.get(spelling, spelling)
    for kind in kinds:
        if spelling in (_spelled(kind), _spelled(shown(kind))):
            return kind
    group = _GROUP.get(spelling)
    return next((kind for kind in kinds if group is not None and _GROUP.get(_spelled(kind)) == group), None)


def read_types(given: str) -> dict[str, str]:
    """Return the user's own names for types: ``DRUG=CHEMICAL,X=GENE`` as ``{"DRUG": "CHEMICAL", "X": "GENE"}``.

    Raises:
        UsageError: a part that is no ``NAME=TYPE``, or a name that is given two meanings.
    """
    found: dict[str, str] = {}
    for part in filter(str.strip, given.split(",")):
        name, equals, meant = (piece.strip() for piece in part.partition("="))
        if not (_spelled(name) and equals and _spelled(meant)):
            raise UsageError(f"'{part.strip()}' is no pair of types; write NAME=TYPE, such as DRUG=CHEMICAL.")
        if found.setdefault(name, meant) != meant:
            raise UsageError(f"the type '{name}' is given two meanings, {found[name]} and {meant}; give it one.")
    return found


def _spelled(type_: str) -> str:
    return "".join(filter(str.isalnum, type_)).lower()
