"""Types by their synonyms, and labels in words."""

import pytest

from featstore.corpora.pairs import TAG_TYPES
from featstore.errors import UsageError
from featstore.labels import in_words, meaning_of
from featstore.types import SYNONYMS, kind_of, read_types, shown

KINDS = ("chem", "gene")


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ("CHEMICAL", "chem"),
        ("SimpleChemical", "chem"),
        ("Simple_chemical", "chem"),
        ("ChemicalEntity", "chem"),
        ("DRUG", "chem"),
        ("drug_n", "chem"),
        ("GENE-Y", "gene"),
        ("GeneOrGeneProduct", "gene"),
        ("Gene_or_gene_product", "gene"),
        ("Protein", "gene"),
        ("DiseaseOrPhenotypicFeature", None),
        ("SPECIES", None),
        ("β", None),
    ],
)
def test_synonyms_are_told_whatever_their_spelling(given: str, kind: str | None) -> None:
    assert kind_of(given, KINDS) == kind


def test_a_kind_of_the_same_spelling_comes_before_a_synonym() -> None:
    assert kind_of("DRUG", ("chem", "drug")) == "drug"
    assert kind_of("Compound", ("drug",)) == "drug"
    assert kind_of("Protein", ("gene", "protein")) == "protein"
    assert kind_of("Wort", ("gene", "wort")) == "wort"


def test_the_user_s_own_names_come_first() -> None:
    renamed = read_types("DRUG=GENE, my-thing = CHEMICAL")
    assert kind_of("drug", KINDS, renamed) == "gene"
    assert kind_of("MyThing", KINDS, renamed) == "chem"
    assert read_types("") == {}


@pytest.mark.parametrize("given", ["DRUG", "DRUG=", "=GENE", "DRUG:GENE", "A=GENE,A=CHEMICAL"])
def test_what_names_no_type_is_refused(given: str) -> None:
    with pytest.raises(UsageError, match=r"NAME=TYPE|two meanings"):
        read_types(given)


def test_no_name_is_in_two_groups_and_each_group_is_among_its_own_names() -> None:
    names = [name for group in SYNONYMS.values() for name in group]
    assert len(names) == len(set(names))
    for group in SYNONYMS:
        assert kind_of(group, [SYNONYMS[group][0]]) is not None
    for type_, kind in TAG_TYPES.items():
        assert kind_of(type_, [kind]) == kind


def test_kinds_are_shown_as_people_write_them() -> None:
    assert [shown(kind) for kind in ("chem", "gene", "dise", "drug")] == ["CHEMICAL", "GENE", "DISEASE", "DRUG"]


def test_labels_in_words() -> None:
    assert in_words("CPR:4").startswith("CPR:4 down-regulation (downregulator, inhibitor")
    assert in_words("1", "gad") == "1 gene-disease association"
    assert in_words("1", "mine") == in_words("1") == "1"
    assert in_words("Substrate_Product-Of") == "Substrate_Product-Of substrate and product"
    assert meaning_of("effect") is None
    assert meaning_of("effect", "ddi") is not None
    assert meaning_of("a label of mine") is None
