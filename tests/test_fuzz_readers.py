"""A thousand damaged files through every reader of documents and of corpora; ``benchmarks/fuzz.py`` makes more."""

from pathlib import Path

import pytest
from fuzz import fuzz, read
from fuzz_samples import Sample, corpora, documents

SAMPLES = [*documents(), *corpora()]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_damage_is_reported_and_nothing_else_happens(sample: Sample) -> None:
    counts, kinds = fuzz(sample, 50, seed=3)
    assert not kinds
    assert counts.total() == 50


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_what_is_damaged_is_right_before(sample: Sample, tmp_path: Path) -> None:
    assert read(sample, sample.files, tmp_path).kind == "read"
