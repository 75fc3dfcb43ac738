"""The corpora as published, where they are at hand: the published counts, and what the readers promise."""

from pathlib import Path

import pytest

from featstore.corpora import load_corpus
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
