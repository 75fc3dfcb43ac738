"""Processes: what one of them raises or suffers is told here, the others are ended, and groups share numbers."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import torch

from featstore.errors import DataError, ResourceError, UsageError
from featstore.pretrain.parallel import ParallelJob, choose_device, run_jobs

# Written as a module of its own, which processes that are started can import.
JOBS = """
import errno, os, signal, time
from pathlib import Path
import torch
from featstore.errors import DataError

def wait(folder, group, report):
    Path(folder, str(os.getpid())).touch()
    time.sleep(600)

def refuse(folder, group, report):
    raise DataError("this text is no text")

def killed(folder, group, report):
    os.kill(os.getpid(), signal.SIGKILL)

def full(folder, group, report):
    raise OSError(errno.ENOSPC, "No space left on device", "forward.safetensors")

def share(folder, group, report):
    parameter = torch.nn.Parameter(torch.zeros(3))
    parameter.grad = torch.arange(3.0) + 10 * group.rank
    group.average_gradients([parameter, torch.nn.Parameter(torch.zeros(2))])
    all_ranks = group.gather(torch.tensor([group.rank]))
    if report:
        report((parameter.grad.tolist(), all_ranks.tolist(), torch.get_num_threads()))
"""


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    (tmp_path / "written_jobs.py").write_text(JOBS, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield import_module("written_jobs")
    del sys.modules["written_jobs"]


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("refuse", DataError, "this text is no text"),
        ("killed", ResourceError, "ended with code -9"),
        ("full", ResourceError, "disk is full"),
    ],
)
def test_the_first_failure_is_raised_and_the_others_are_ended(
    jobs: ModuleType, tmp_path: Path, name: str, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        run_jobs([ParallelJob(getattr(jobs, name), (str(tmp_path),)), ParallelJob(jobs.wait, (str(tmp_path),))])
    for path in tmp_path.glob("[0-9]*"):
        assert not alive(int(path.name))


def test_a_group_averages_gradients_and_gathers(jobs: ModuleType, tmp_path: Path) -> None:
    told: list[object] = []
    run_jobs([ParallelJob(jobs.share, (str(tmp_path),), processes=2)], told.append)
    assert told == [([5.0, 6.0, 7.0], [[0], [1]], 1)]


@pytest.mark.usefixtures("jobs")
def test_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import written_jobs\nfrom featstore.pretrain.parallel import ParallelJob, run_jobs\n"
        f"if __name__ == '__main__':\n    run_jobs([ParallelJob(written_jobs.wait, ({str(tmp_path)!r},))])\n"
    )
    (tmp_path / "parent.py").write_text(code, encoding="utf-8")
    parent = subprocess.Popen([sys.executable, str(tmp_path / "parent.py")])
    deadline = time.monotonic() + 120
    while not (started := list(tmp_path.glob("[0-9]*"))) and time.monotonic() < deadline:
        time.sleep(0.05)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    child = int(started[0].name)
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(child)


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended but was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_choose_device() -> None:
    assert choose_device("cpu") == "cpu"
    assert choose_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="torch sees no GPU here"):
            choose_device("cuda")
