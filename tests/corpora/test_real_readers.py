"""The corpora as published, where they are at hand: the published counts, and what the readers promise."""

from collections import Counter
from pathlib import Path

import pytest

from featstore.corpora import load_corpus
from featstore.corpora.known import chemprot_test
from featstore.records import Instance


def row(instance: Instance) -> tuple[str, str | None, tuple[str, ...]]:
    return instance.id, instance.label, instance.tokens


@pytest.mark.parametrize(("name", "sentences"), [("gad", 3646), ("euadr", 190)])
def test_the_original_sentences_masked_are_the_released_ones(real: Path, name: str, sentences: int) -> None:
    original = load_corpus(f"{name}:{real / f'{name}_original'}", context="sentence")
    assert original.problems == ()
    assert len({i.key for i in original.instances}) == sentences
    assert original.notes["mentions"] == 2 * len(original.instances)
    assert original.notes["mentions agreeing"] == original.notes["mentions"] - (name == "gad")  # Sep15, made a date
    masked = load_corpus(f"{name}:{real / name}", indicators="replace").instances
    found = load_corpus(f"{name}:{real / f'{name}_original'}", indicators="replace").instances
    assert list(map(row, found)) == list(map(row, masked))


def test_blinded_the_original_sentences_have_nouns_for_the_released_words(real: Path) -> None:
    nouns = {"@GENE$": "gene", "@DISEASE$": "disease"}
    masked = map(row, load_corpus(f"euadr:{real / 'euadr'}").instances)
    found = load_corpus(f"euadr:{real / 'euadr_original'}", indicators="blind").instances
    assert list(map(row, found)) == [(id_, label, tuple(map(nouns.get, t, t))) for id_, label, t in masked]


PUBLISHED = {
    "bc5cdr:bc5cdr": {"gold train CID": 1038, "gold dev CID": 1012, "gold test CID": 1066, "documents": 1500},
    "biored:biored/BIORED.zip": {"documents train": 400, "documents dev": 100, "documents test": 100},
    "ddi:ddi2013/DDICorpus-2013.zip": {
        "documents": 905,
        "pairs train": 27792,
        "interactions train": 4021,
        "pairs test": 5716,
        "interactions test": 979,
    },
    "aimed:ppi/unified_rebuilt": {"pairs": 5834, "interactions": 1000, "sentences": 1950},
    "bioinfer:ppi/unified_rebuilt": {"pairs": 9666, "interactions": 2534, "sentences": 1100},
    "hprd50:ppi/unified_rebuilt": {"pairs": 433, "interactions": 163, "sentences": 145},
    "iepa:ppi/unified_rebuilt": {"pairs": 817, "interactions": 335, "sentences": 486},
    "lll:ppi/unified_rebuilt": {"pairs": 330, "interactions": 164, "sentences": 77},
}
# Problems of the released files. DDI: an interaction without a type; a mention whose second piece is off by one, with
# the four pairs that name it. BioInfer: two pairs of an entity with itself.
KNOWN_PROBLEMS = {"ddi": 6, "bioinfer": 2}


@pytest.mark.parametrize(("spec", "counts"), PUBLISHED.items(), ids=PUBLISHED)
def test_the_published_counts(real: Path, spec: str, counts: dict[str, int]) -> None:
    name, _, path = spec.partition(":")
    corpus = load_corpus(f"{name}:{real / path}", context="sentence")
    assert {note: corpus.notes[note] for note in counts} == counts
    assert len(corpus.problems) == KNOWN_PROBLEMS.get(name, 0)
    assert len({i.id for i in corpus.instances}) == len(corpus.instances)
    if name == "biored":
        gold = Counter(relation.split for relation in corpus.gold.relations) if corpus.gold else {}
        assert gold == {"train": 4178, "dev": 1162, "test": 1163}


def test_drugprot_s_development_set(real: Path, tmp_path: Path) -> None:
    for file in (real / "drugprot" / "development").iterdir():
        (tmp_path / file.name).symlink_to(file)
    id_ = min(chemprot_test())
    rows = {"abstracs": (id_, "Aspirin.", "No more."), "entities": (id_, "T1", "CHEMICAL", "0", "7", "Aspirin")}
    for what, row_ in {**rows, "relations": ()}.items():
        (tmp_path / f"drugprot_training_{what}.tsv").write_text("\t".join(row_) + "\n")
    corpus = load_corpus(f"drugprot:{tmp_path}", context="sentence")
    assert corpus.problems == ()
    assert corpus.notes["documents test"] == 750
    assert corpus.gold is not None
    assert sum(relation.split == "test" for relation in corpus.gold.relations) == 3761
    assert len(chemprot_test() & corpus.documents.keys()) == 235 + 1
