"""The one writer of outputs: whole or not at all, and whatever stands in their place stays what it is."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from featstore.errors import ResourceError, UsageError
from featstore.files import check_output_file, check_output_folder, open_output, write_file
from featstore.streams import is_stream

ROOT = Path(__file__).resolve().parents[1]
ROOTED = os.geteuid() == 0  # permissions do not bind root


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[tuple[Path, Callable[[], bytes]]]:
    """A pipe, and what waits for its reader and gives what that got."""
    path, got = tmp_path / "pipe", []
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: got.append(path.read_bytes()))
    reader.start()

    def wait() -> bytes:
        reader.join()
        return got[0]

    yield path, wait
    reader.join()


def test_a_file_is_replaced_and_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "out"
    write_file(path, b"first")
    path.chmod(0o640)
    write_file(path, b"second")
    assert path.read_bytes() == b"second"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert names(tmp_path) == ["out"]


def test_a_new_file_has_the_permissions_that_open_would_give_it(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_file(tmp_path / "out", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o640


@pytest.mark.skipif(not ROOTED, reason="only root may give a file away")
def test_the_owner_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.touch()
    os.chown(path, 65534, 65534)
    write_file(path, b"new")
    assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534)


@pytest.mark.parametrize("dangling", [False, True])
@pytest.mark.parametrize("hops", [1, 2])
def test_a_link_is_written_through(tmp_path: Path, dangling: bool, hops: int) -> None:
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "file", tmp_path / "link0"
    link.symlink_to("real/file")
    for hop in range(1, hops):
        link = tmp_path / f"link{hop}"
        link.symlink_to(f"link{hop - 1}")
    if not dangling:
        target.write_bytes(b"old")
    check_output_file(link)
    write_file(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert not target.is_symlink()
    assert names(target.parent) == ["file"]


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    for attempt in (check_output_file, lambda path: write_file(path, b"")):
        with pytest.raises(UsageError, match=r"a is a symbolic link that leads back"):
            attempt(tmp_path / "a")
    assert names(tmp_path) == ["a", "b"]


def test_a_pipe_gets_the_bytes_and_stays_a_pipe(fifo: tuple[Path, Callable[[], bytes]], tmp_path: Path) -> None:
    path, read = fifo
    check_output_file(path)
    with open_output(path) as file:
        file.write(b"one ")
        file.write(b"two")
    assert read() == b"one two"
    assert stat.S_ISFIFO(path.stat().st_mode)
    assert names(tmp_path) == ["pipe"]


def test_a_device_stays_a_device() -> None:
    assert is_stream(Path("/dev/null"))
    check_output_file(Path("/dev/null"))
    write_file(Path("/dev/null"), b"gone")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with pytest.raises(ResourceError, match="no room to write /dev/full"):
        write_file(Path("/dev/full"), b"x")


def test_a_dash_is_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    print("before, ", end="")
    check_output_file(Path("-"))
    write_file(Path("-"), b"data, ")
    print("after", end="", flush=True)
    assert capfdbinary.readouterr().out == b"before, data, after"
    assert not Path("-").exists()


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
@pytest.mark.parametrize("mode", [">", ">>"])
def test_a_redirected_standard_output_is_not_replaced(tmp_path: Path, name: str, mode: str) -> None:
    """The shell's file is written on where it stands: what came before and comes after is there too."""
    log = tmp_path / "log"
    log.write_text("old\n")
    code = f"from pathlib import Path\nfrom featstore.files import write_file\nwrite_file(Path({name!r}), b'data\\n')"
    command = f'(echo first; "{sys.executable}" -c "{code}"; echo last) {mode} "{log}"'
    subprocess.run(["sh", "-c", command], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert log.read_text() == ("old\n" if mode == ">>" else "") + "first\ndata\nlast\n"
    assert names(tmp_path) == ["log"]


def test_an_error_in_the_middle_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old")

    def fail() -> None:
        with open_output(path) as file:
            file.write(b"half")
            raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        fail()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "out"
    path.write_bytes(b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(ResourceError, match=r"no room to write .*out \(No space left on device\)"):
            write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["out"]


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old")
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(ResourceError, match=r"no room to write .*out \(File too large\)"):
            write_file(path, bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["out"]


def kill_in_the_middle(path: Path) -> None:
    """Have a writer of ``path`` killed when half is written."""
    child = os.fork()
    if child == 0:
        with open_output(path) as file:
            file.write(b"half")
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_killed_writer_leaves_the_old_file_and_the_next_one_cleans_up(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old")
    for _ in range(3):
        kill_in_the_middle(path)
        assert path.read_bytes() == b"old"
    with open_output(path) as file:  # a live writer's part stays, whoever writes meanwhile
        file.write(b"slow")
        write_file(path, b"quick")
        assert path.read_bytes() == b"quick"
    assert path.read_bytes() == b"slow"
    assert names(tmp_path) == ["out"]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_without_locks_files_are_written_and_nothing_is_cleaned_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out"
    kill_in_the_middle(path)

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    write_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert len(names(tmp_path)) == 2


def test_places_where_no_file_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cases = {
        tmp_path: "is a folder",
        tmp_path / "nowhere" / "out": "nowhere does not exist; make that folder",
        tmp_path / "file" / "out": "file is a file, not a folder",
        tmp_path / ("n" * 300): "File name too long",
    }
    for path, says in cases.items():
        if says != "File name too long":
            with pytest.raises(UsageError, match=says):
                check_output_file(path)
        with pytest.raises(UsageError):
            write_file(path, b"")
    assert names(tmp_path) == ["file"]


def test_a_long_name_leaves_room_for_the_name_of_the_part(tmp_path: Path) -> None:
    for name in ("n" * 255, "\u00e4" * 127):
        write_file(tmp_path / name, b"")
        assert names(tmp_path) == [name]
        (tmp_path / name).unlink()


def test_places_where_no_folder_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    check_output_folder(tmp_path / "new" / "deep")
    for path in (tmp_path / "file", tmp_path / "file" / "deep"):
        with pytest.raises(UsageError, match=r"file is not one"):
            check_output_folder(path)
    assert names(tmp_path) == ["file"]


def test_where_there_is_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kept").write_bytes(b"old")
    tmp_path.chmod(0o500)
    if ROOTED:
        monkeypatch.setattr(os, "access", lambda *_: False)
    for attempt in (check_output_file, lambda path: write_file(path, b"new")):
        with pytest.raises(ResourceError, match="ermission"):
            attempt(tmp_path / "kept")
    with pytest.raises(ResourceError, match="permission"):
        check_output_folder(tmp_path / "new")
    tmp_path.chmod(0o700)
    assert (tmp_path / "kept").read_bytes() == b"old"
