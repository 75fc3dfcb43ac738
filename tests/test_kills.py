"""A hundred kills of featurize, extract, ablate and pre-training; ``benchmarks/kills.py`` makes as many as you like."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KILLS = os.environ.get("FEATSTORE_KILLS", "100")


def test_whatever_was_killed_is_resumed_to_the_same_bytes() -> None:
    """In a process of its own: one in which other tests have started threads cannot be forked safely."""
    command = [sys.executable, str(ROOT / "benchmarks" / "kills.py"), "--kills", KILLS]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")][1:]
    assert sum(int(row[1].replace(",", "")) for row in rows) >= int(KILLS)
    assert {row[-1].rstrip(" |") for row in rows} == {"0"}
