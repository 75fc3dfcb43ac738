"""``benchmarks/latency.py``: what it measures of processes, and how it prints it."""

import subprocess

import pytest
from latency import Cost, cost, line, of_children, run

BUSY = "import time; end = time.process_time() + 0.1\nwhile time.process_time() < end: pass"


def test_a_process_costs_the_processor_what_it_used() -> None:
    used = cost(lambda: run(["-c", BUSY]), of_children)
    assert used.processor >= 0.1
    assert used.clock > 0
    assert cost(lambda: None, of_children).processor == 0


def test_a_process_that_fails_is_not_timed() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        run(["-c", "raise SystemExit(3)"])


def test_a_row_has_the_medians() -> None:
    assert line("a", [Cost(0.003, 2), Cost(0.001, 1), Cost(0.01, 0.5)]) == "| a | 3.0 ms | 1,000.0 ms | 3 |"
