"""Identities and keys are frozen: a digest that changes would make every store stale, or worse, serve a wrong one.

The expected digests were computed once, by hand, from what FORMAT.md says; a change of one of them needs a new
FACTS_VERSION (identities) or a new format (keys, shard names).
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featstore.fingerprint import FACTS_VERSION, canonical_json, fingerprint
from featstore.records import sentence_key
from featstore.stores import FeatureMeta
from featstore.stores.layout import ShardIndex, checksum, files_checksum, pack_index, shard_name

FACTS: dict[str, Any] = {
    "format": 1,
    "kind": "elmo",
    "weights": {"weights.hdf5": "aa" * 32, "options.json": "bb" * 32},
    "tokenizer": {"name": "words", "version": 3},
    "lower": False,
    "layers": [0, 1, 2],
    "precision": "float32",
    "state": "reset",
    "note": "β-catenin",
}

GOLDEN_IDENTITY = "2c15cbae8784319b8f070d28560f2f746accd1556977a0063f340b9243cd7ca0"
GOLDEN_KEY = "5cda42a9b3e9bfec3224e0d8937ac08d"
GOLDEN_CHECKSUMS = ["47ed6a0a51399a57", "2ddc24512baa30d3"]
GOLDEN_SHARD = "74884d0f6c16fc43b3c4a4d50c995121"
GOLDEN_INDEX = "4d656ccc0b324f94d873a78f21d06472a24ea77f81456fba9a0cfdf7d6b179f4"


def test_the_identity_of_facts_is_frozen() -> None:
    assert FACTS_VERSION == 1
    assert fingerprint(FACTS) == GOLDEN_IDENTITY
    assert fingerprint({}) == hashlib.sha256(b'{"facts_version":1}').hexdigest()


def test_keys_are_frozen() -> None:
    assert sentence_key([]).hex() == hashlib.blake2b(b"", digest_size=16).hexdigest()
    assert sentence_key(["β-catenin", "binds", "<gene>", "p53", "</gene>", "."]).hex() == GOLDEN_KEY
    assert len({sentence_key(t) for t in (["ab", "c"], ["a", "bc"], ["abc"], ["abc", ""], ["", "abc"])}) == 5


def test_shard_names_and_checksums_are_frozen() -> None:
    meta = FeatureMeta("toy", "c" * 64, 2, 1, "float16", "hdf5", {})
    rows = np.array([[1, 2], [3, 4], [-5, 0.5]], dtype="<f2")
    sums = np.array([checksum(rows[:1]), checksum(rows[1:])], dtype=np.uint64)
    keys = np.arange(32, dtype=np.uint8).reshape(2, 16)
    index = ShardIndex(keys, np.array([0, 1, 3], dtype=np.int64), sums)
    assert [f"{s:016x}" for s in sums] == GOLDEN_CHECKSUMS
    assert shard_name(meta, index) == GOLDEN_SHARD
    crc = files_checksum({"b/c": b"12", "a": rows.tobytes()})
    assert hashlib.sha256(pack_index(index, crc)).hexdigest() == GOLDEN_INDEX


@pytest.mark.parametrize("fact", [*FACTS, "weights.weights.hdf5", "tokenizer.version", "new"])
def test_any_one_fact_changed_is_another_identity(fact: str) -> None:
    changed = json.loads(json.dumps(FACTS))
    if fact == "weights.weights.hdf5":
        changed["weights"]["weights.hdf5"] = "ab" * 32
    elif fact == "tokenizer.version":
        changed["tokenizer"]["version"] = 4
    else:
        changed[fact] = "other"
    assert fingerprint(changed) != fingerprint(FACTS)
    if fact in FACTS:
        del changed[fact]
        assert fingerprint(changed) != fingerprint(FACTS)


def test_what_facts_are_not_about_does_not_enter() -> None:
    """Order, process, hash seed and object identity."""
    assert fingerprint(dict(reversed(FACTS.items()))) == fingerprint(FACTS)
    code = f"from featstore.fingerprint import fingerprint; print(fingerprint({FACTS!r}))"
    for seed in ("0", "1", "2"):
        ran = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        )
        assert ran.stdout.strip() == GOLDEN_IDENTITY


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}, b"bytes", Path("x")])
def test_what_is_no_json_is_no_fact(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        canonical_json({"fact": value})


def test_no_pickle_in_the_stores() -> None:
    package = Path(__file__).resolve().parents[2] / "featstore"
    for file in [package / "fingerprint.py", *sorted((package / "stores").glob("*.py"))]:
        text = file.read_text(encoding="utf-8")
        assert "import pickle" not in text, file
        assert "eval(" not in text, file
