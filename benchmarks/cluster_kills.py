"""Kill workers, nodes and the command itself while a Ray cluster works; what comes out must be what one process makes.

    python benchmarks/cluster_kills.py --kills 40

In: nothing that the package does not bring. Two Ray nodes of one core each are started on this machine, and the real
commands `featurize`, `extract`, `entities tag` and `ablate` run on them, each on small inputs with a light model;
`ablate` a second time with its runs at an S3 server (moto). At a random moment while workers are at work

- a worker gets SIGKILL: the command has to end well all the same;
- a node with its workers does, and another node joins the cluster: likewise;
- the command does: run again, with Ray or without it, it has to go on;
- the command gets SIGINT, as its whole process group does at Ctrl-C: it has to end with 130, its workers too, and go on
  when it is run again. Half of these runs start a Ray of their own (`--engine ray`), of which no process may be left.

Out: a table. What a run leaves is compared, byte for byte, with what the same command leaves without Ray and without a
kill; an unfinished part may not be left either. The first fault ends the script with exit code 1.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import cycle, islice, product
from pathlib import Path
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0", "RAY_enable_worker_prestart": "0"}

import fsspec
from killed import Fault, Files, partials
from synthetic import write_documents

from featstore.addresses import files_below, remove
from featstore.copies import on_this_machine
from featstore.markdown import markdown_table
from featstore.stores import list_sets, open_store

ROOT = Path(__file__).resolve().parents[1]
MARK = "FEATSTORE_CLUSTER_KILLS"  # in the environment of all that is started here
KINDS = ("worker", "node", "command", "Ctrl-C", "Ctrl-C, own Ray")
CORPUS = ("--corpus", "sample:chemprot", "--context", "sentence")
SHORT = ("--max-epochs", "4", "--hidden", "64")
RUNS = "s3://kills/runs"
PATIENCE = 60.0  # seconds for processes to end that have lost their command
LIMIT = 900.0  # seconds for a command: it hangs


@dataclass(frozen=True)
class Killed:
    """A command whose runs are killed.

    Attributes:
        name: of the command.
        words: of its command line, without the engine; outputs are in the current folder.
        local: what to add so that this machine runs it with two processes.
        runs: the address of its runs, if they are not in the current folder.
    """

    name: str
    words: tuple[str, ...]
    local: tuple[str, ...] = ("--workers", "2")
    runs: str = ""

    def fresh(self, folder: Path) -> Path:
        """Make a folder anew, and the address of the runs empty."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name in files_below(self.runs) if self.runs else ():
            remove(f"{self.runs}/{name}")
        return folder

    def finished(self, folder: Path) -> Files:
        """Return what a run has left in ``folder``, and at the address of its runs."""
        found: dict[str, bytes] = {}
        if self.runs:
            shutil.copytree(on_this_machine(self.runs), folder / "runs")
        for info in list_sets(folder / "features"):
            with closing(open_store(info.path, check=True)) as store:
                keys = list(store.keys())
                rows = store.read(keys)
                found |= {key.hex(): rows[number].tobytes() for number, key in enumerate(keys)}
        for path in [*folder.glob("out*"), *folder.glob("runs/*/fold-*/*")]:
            if path.name in ("out.jsonl", "metrics.json", "predictions.tsv", "model.safetensors", "begun.json"):
                found[str(path.relative_to(folder))] = path.read_bytes()
        return found


def cli(*words: str, folder: Path, code: int = 0) -> None:
    """Run a command to its end.

    Raises:
        Fault: it ended with another exit code.
    """
    done = wait(start(words, folder), folder)
    if done != code:
        raise Fault(f"exit code {done} of cli {' '.join(words)}:\n{(folder / 'log').read_text()}")


def start(words: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    """Start a command in a process group of its own, as a shell does."""
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-m", "cli", *words]
        return subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)


def wait(process: subprocess.Popen[bytes], folder: Path) -> int:
    """Wait for a command and return its exit code."""
    try:
        return process.wait(LIMIT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise Fault(f"it hangs:\n{(folder / 'log').read_text()}") from None


def make_inputs(inputs: Path, documents: int) -> list[Killed]:
    """Make light models, a store and documents, and return the commands that read them."""
    features, tagger = str(inputs / "features"), str(inputs / "tagger")
    cli("featurize", "--encoders", "glove", *CORPUS, folder=inputs)
    cli("train", "--features", "glove", *CORPUS, *SHORT, "--run", "light", folder=inputs)
    cli("entities", "featurize", "--encoders", "glove", folder=inputs)
    cli("entities", "train", "--features", "glove", "--max-epochs", "2", "--run", tagger, folder=inputs)
    source = str(write_documents(inputs / "in.jsonl", documents))
    plain = inputs / "plain.jsonl"
    with plain.open("w", encoding="utf-8") as file:
        for line in Path(source).read_text(encoding="utf-8").splitlines():
            file.write(json.dumps(json.loads(line) | {"entities": []}) + "\n")
    run = str(inputs / "runs" / "light")
    grid = ("--features", "glove", *CORPUS[:2], "--contexts", "sentence")
    ablate = ("ablate", *grid, *SHORT, "--seeds", "6", "--store", features)
    return [
        Killed("featurize", ("featurize", "--encoders", "elmo")),
        Killed("extract", ("extract", source, "-o", "out.jsonl", "--run", run, "--tag", "never", "--threshold", "0")),
        Killed("entities tag", ("entities", "tag", str(plain), "-o", "out.jsonl", "--tagger", tagger)),
        Killed("ablate", ablate, ("--jobs", "2")),
        Killed("ablate at S3", (*ablate, "--runs", RUNS), ("--jobs", "2"), RUNS),
    ]


def actors() -> list[int]:
    """Return the workers of Ray that are at work for this script, and no others of this machine."""
    return [pid for pid, name in processes() if name.startswith("ray::Actor.do") and is_ours(pid)]


def is_ours(pid: int) -> bool:
    """Tell whether this script has started a process, or what it has started."""
    try:
        return f"{MARK}={os.getpid()}\0".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


def processes() -> Iterator[tuple[int, str]]:
    """Yield all processes of this machine, each with its command line."""
    for place in Path("/proc").glob("[0-9]*"):
        try:
            yield int(place.name), (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue


def wait_until(is_so: Any, seconds: float) -> bool:
    """Wait until something is so, but not for ever; return whether it is."""
    end = time.monotonic() + seconds
    while not (found := is_so()) and time.monotonic() < end:
        time.sleep(0.05)
    return bool(found)


@contextmanager
def two_nodes() -> Iterator[Any]:
    """Start a cluster of two nodes with a core each."""
    from ray.cluster_utils import Cluster

    os.environ |= {"PYTHONPATH": str(ROOT), MARK: str(os.getpid())}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=1)
        yield cluster
    finally:
        cluster.shutdown()  # type: ignore[no-untyped-call]


@contextmanager
def s3_server(cache: Path) -> Iterator[None]:
    """Start a server that speaks S3, with a bucket; the environment says where it is, and where copies go."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.environ |= {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_DEFAULT_REGION": "us-east-1"}
    os.environ |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "XDG_CACHE_HOME": str(cache)}
    try:
        if not wait_until(lambda: answers(port), PATIENCE):
            raise Fault("the S3 server does not start")
        fsspec.filesystem("s3").mkdir("kills")
        yield
    finally:
        server.terminate()
        server.wait()


def answers(port: int) -> bool:
    """Tell whether a server listens at a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Killer:
    """Kills runs of commands on a cluster and compares what they leave.

    Args:
        cluster: of two nodes.
        draw: the random moments.
    """

    def __init__(self, cluster: Any, draw: random.Random) -> None:
        self._cluster, self._draw = cluster, draw
        self.counts: Counter[tuple[str, str]] = Counter()

    def kill_once(self, command: Killed, kind: str, folder: Path, seconds: float) -> bool:
        """Run a command, kill what ``kind`` names, and run it to its end.

        Args:
            command: the command.
            kind: one of :data:`KINDS`.
            folder: where it works.
            seconds: how long after its workers have begun the kill comes, at most.

        Returns:
            whether there was anything left to kill.

        Raises:
            Fault: it does not end as it should.
        """
        own = kind == KINDS[4]
        on_ray = ("--engine", "ray" if own else f"ray:{self._cluster.address}")
        two = (command.local[0], "2") if own else ()
        running = start((*command.words, *on_ray, *two), folder)
        if not wait_until(lambda: actors() or running.poll() is not None, LIMIT):
            raise Fault("no worker begins")
        time.sleep(self._draw.uniform(0, seconds))
        wait_until(lambda: actors() or running.poll() is not None, LIMIT)
        hit = running.poll() is None and self._kill(kind, running)
        code = wait(running, folder)
        expected = {"command": (0, -signal.SIGKILL), "worker": (0, 3), "node": (0, 3)}.get(kind, (0, 130))
        if code not in expected:
            raise Fault(f"exit code {code}:\n{(folder / 'log').read_text()}")
        if not wait_until(lambda: not actors(), PATIENCE):
            raise Fault(f"workers are left: {actors()}")
        if own and not wait_until(lambda: not self._left(running.pid), PATIENCE):
            raise Fault(f"processes are left: {self._left(running.pid)}")
        if code:
            self.counts[command.name, "run again"] += 1
            cli(*command.words, *(command.local if self._draw.random() < 0.5 else on_ray + two), folder=folder)
        return hit and (code != 0 or kind in ("worker", "node"))

    def _kill(self, kind: str, running: subprocess.Popen[bytes]) -> bool:
        """Kill; return whether there was anything to kill."""
        if kind == "worker":
            if not (found := actors()):
                return False
            os.kill(self._draw.choice(found), signal.SIGKILL)
        elif kind == "node":
            (node,) = self._cluster.worker_nodes
            self._cluster.remove_node(node, allow_graceful=False)
            self._cluster.add_node(num_cpus=1)
        elif kind == "command":
            running.kill()
        else:
            os.killpg(running.pid, signal.SIGINT)
        return True

    @staticmethod
    def _left(session: int) -> list[str]:
        """Return what is left of a Ray that a command has started: its processes know the command's id."""
        return [name for pid, name in processes() if pid != session and session_of(pid) == session]


def session_of(pid: int) -> int:
    """Return the session of a process; 0 if it has ended."""
    try:
        return os.getsid(pid)
    except OSError:
        return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=40, help="of all commands together")
    parser.add_argument("--documents", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the random moments")
    parser.add_argument("--only", default="", help="commands whose names begin so")
    parser.add_argument("--kind", default="", help="ways to kill whose names begin so")
    given = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
    kinds = [kind for kind in KINDS if kind.startswith(given.kind)]
    draw = random.Random(given.seed)
    print(f"seed {given.seed}", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="featstore-cluster-") as place,
        s3_server(Path(place) / "cache"),
        two_nodes() as cluster,
    ):
        room, killer = Path(place), Killer(cluster, draw)
        (room / "inputs").mkdir()
        commands = [c for c in make_inputs(room / "inputs", given.documents) if c.name.startswith(given.only)]
        expected: dict[str, Files] = {}
        for command in commands:
            cli(*command.words, folder=(folder := command.fresh(room / f"whole {command.name}")))
            expected[command.name] = command.finished(folder)
        try:
            kill_often(killer, islice(cycle(product(commands, kinds)), given.kills), expected, room)
        except Fault as fault:
            print(fault)
            return 1
        finally:
            print_table(killer.counts, commands)
    return 0


def kill_often(killer: Killer, kills: Iterable[tuple[Killed, str]], expected: Mapping[str, Files], room: Path) -> None:
    """Kill commands, each in the way that stands with it.

    Raises:
        Fault: something is not as it should be.
    """
    seconds = dict.fromkeys(expected, 4.0)  # until the kill: longer if it comes too early, and shorter
    for command, kind in kills:
        hit = False
        while not hit:
            begun, folder = time.monotonic(), command.fresh(room / "run")
            try:
                hit = killer.kill_once(command, kind, folder, seconds[command.name])
                left = [*partials(folder), *files_below(room / "cache" / "featstore-runs")]
                compare(expected[command.name], command.finished(folder), left)
                killer.counts[command.name, kind] += hit
            except Fault as fault:
                raise Fault(f"{command.name}, {kind}: {fault}") from None
            seconds[command.name] *= 1.2 if hit else 0.6
            how = "killed" if hit else "had ended before the kill"
            print(f"{command.name}, {kind}: {how}, as expected, {time.monotonic() - begun:.0f} s", flush=True)


def compare(expected: Files, found: Files, left: Sequence[str]) -> None:
    """Compare what is there with what should be.

    Raises:
        Fault: it differs, or something is left over.
    """
    if differing := [name for name in expected.keys() | found.keys() if found.get(name) != expected.get(name)]:
        raise Fault(f"{len(differing)} of {len(expected)} differ: {differing[:5]}")
    if left:
        raise Fault(f"{left} are left over")


def print_table(counts: Counter[tuple[str, str]], commands: Sequence[Killed]) -> None:
    """Print how often what was killed before a run that ended with the bytes of one process that nobody killed."""
    columns = (*KINDS, "run again")
    rows = [[c.name, *(str(counts[c.name, column]) for column in columns)] for c in commands]
    print(markdown_table(["command", *columns], rows))


if __name__ == "__main__":
    sys.exit(main())
