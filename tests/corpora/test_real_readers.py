"""The corpora that the field uses, as published, where they are at hand: the published counts, and what readers promise."""

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
    nouns = {"@GENE$": "gene", "@DISEASE$": "disease"}
    for indicators, masked_as in (("replace", "replace"), ("blind", "tags")):
        masked = load_corpus(f"{name}:{real / name}", indicators=masked_as).instances
        wanted = [(id_, label, tuple(map(nouns.get, tokens, tokens))) for id_, label, tokens in map(row, masked)]
        found = load_corpus(f"{name}:{real / f'{name}_original'}", indicators=indicators).instances
        assert list(map(row, found)) == (list(map(row, masked)) if indicators == "replace" else wanted)
