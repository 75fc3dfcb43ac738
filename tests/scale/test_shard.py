"""Shards: every piece of the work is in exactly one, whatever else there is."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featstore.errors import UsageError
from featstore.records import sentence_key
from featstore.scale import Shard

TEXTS = st.lists(st.tuples(st.text(max_size=4), st.text(max_size=4)), unique=True, max_size=40)


@settings(max_examples=25)
@given(TEXTS, st.integers(1, 9))
def test_every_sentence_is_in_one_shard_and_stays_there(texts: list[tuple[str, str]], count: int) -> None:
    sentences = {sentence_key(text): text for text in texts}
    shards = [Shard(number, count) for number in range(1, count + 1)]
    parts = [shard.sentences(sentences) for shard in shards]
    assert sum(map(len, parts)) == len(sentences)
    assert {key: text for part in parts for key, text in part.items()} == sentences
    half = dict(list(sentences.items())[::2])
    assert [shard.sentences(half) for shard in shards] == [
        {key: text for key, text in part.items() if key in half} for part in parts
    ]


def test_the_rule_is_fixed() -> None:
    """Jobs of another release, or on another machine, must agree on it."""
    sentences = {sentence_key((word,)): (word,) for word in ("aspirin", "inhibits", "COX-2", "in", "cells")}
    parts = [[text for (text,) in Shard(number, 3).sentences(sentences).values()] for number in (1, 2, 3)]
    assert parts == [["COX-2"], ["aspirin", "inhibits", "cells"], ["in"]]
    assert [number for number in range(10) if Shard(2, 4).has_block(number)] == [1, 5, 9]


def test_shards_are_of_about_one_size() -> None:
    sentences = {sentence_key((str(n),)): (str(n),) for n in range(8000)}
    sizes = [len(Shard(number, 8).sentences(sentences)) for number in range(1, 9)]
    assert max(sizes) < 1.15 * min(sizes)


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "1/0", "-1/4", "a/b", "1/4/2", " 1/4", "1/99999999999"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="shard"):
        Shard.read(text)


def test_a_shard_is_read_as_it_is_written() -> None:
    assert Shard.read("03/8") == Shard(3, 8)
    assert str(Shard.read("3/8")) == "3/8"


def test_the_script_for_slurm_gives_each_job_its_share(tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "docs" / "slurm.sbatch"
    (tmp_path / "srun").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "srun").chmod(0o755)
    array = {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "2", "PATH": f"{tmp_path}:/usr/bin:/bin"}
    words = ["extract", "two words.jsonl", "-o", "out.jsonl"]
    for more, shard in (({}, "3/2"), ({"SHARDS": "64"}, "3/64")):
        done = subprocess.run(["bash", script, *words], env=array | more, capture_output=True, text=True, check=True)
        assert done.stdout == f"cli {' '.join(words)} --shard {shard}\n"
