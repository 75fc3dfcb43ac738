"""Vectors, feature sets and writers that the tests of the stores share."""

from __future__ import annotations

import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from featstore.stores import FeatureMeta

WRITER = runpy.run_path(str(Path(__file__).with_name("writer.py")))
SHARED_MEMORY = Path("/dev/shm")


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder in memory where there is one: what these tests would mostly wait for is the disk's fsync."""
    memory = str(SHARED_MEMORY) if os.access(SHARED_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="featstore-test-", dir=memory) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def make_batch() -> Callable[..., Any]:
    """The function that makes keys and vectors of numbered sentences."""
    make: Callable[..., Any] = WRITER["batch"]
    return make


@pytest.fixture(scope="session")
def make_meta() -> Callable[..., FeatureMeta]:
    """The function that makes the facts of a feature set."""
    make: Callable[..., FeatureMeta] = WRITER["facts"]
    return make


class WriterServer:
    """Starts writers, each a process of its own (see writer.py)."""

    def __init__(self) -> None:
        script = str(Path(__file__).with_name("writer.py"))
        self._server = subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def start(self, **job: object) -> int:
        """Start a writer and return its process id."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(job).encode() + b"\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())

    @staticmethod
    def kill(pid: int, how: int = signal.SIGKILL) -> bool:
        """Kill a writer; False if it had ended before."""
        try:
            os.kill(pid, how)
        except ProcessLookupError:
            return False
        return True

    @staticmethod
    def wait(pid: int, seconds: float = 60) -> None:
        """Wait until a writer is gone."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not WriterServer.kill(pid, 0):
                return
            time.sleep(0.002)
        raise TimeoutError(f"writer {pid} still runs after {seconds} s")

    def stop(self) -> None:
        """End the server; it has no writers any more."""
        self._server.communicate()


@pytest.fixture(scope="session")
def writers() -> Iterator[WriterServer]:
    """The server of writers."""
    server = WriterServer()
    yield server
    server.stop()
