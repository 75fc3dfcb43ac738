"""The engine of a Ray cluster: each worker is an actor with one core, on whichever node has one.

In: a job and its items. Out: results. Items travel to the actors and results back through Ray; vectors do not, because
a worker writes them to the store itself. All nodes must see that store, so it is in a folder that they share, or at an
address. A lost actor, or a lost node with its actors, costs the items that they were at.

The extra `ray` brings the package. Nothing else of the project knows of it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Generic

from featstore.errors import FeatstoreError, MismatchError, ResourceError, UsageError, count_of
from featstore.scale import actor
from featstore.scale.actor import LOGGED, RESULT, Message, versions
from featstore.scale.engine import Done, Handed, Handout, Job, OutcomeT, Tell, WorkT

_log = logging.getLogger(__name__)
# What decides, beside the weights, which bytes a worker writes.
_PACKAGES = ("featstore", "numpy", "torch", "h5py", "zarr")
_SECONDS_OF_SILENCE = 60.0  # after which the user is told what is being waited for


@contextmanager
def ray_engine(address: str | None = None, workers: int | None = None) -> Iterator[RayEngine]:
    """Connect to a cluster, and let go of it at the end.

    Args:
        address: of the cluster (``auto``: the one of this machine); None: start one here, for as long as this lasts.
        workers: how many; None: as many as the cluster has cores.

    Raises:
        UsageError: the package ray is not installed.
        ResourceError: no cluster answers at the address.
        MismatchError: a node has another version of Python or of a package than this machine.
    """
    ray = _import_ray()
    if ray.is_initialized():  # by the program that uses this library
        yield _engine(ray, workers)
        return
    _connect(ray, address, workers)
    try:
        yield _engine(ray, workers)
    finally:
        ray.shutdown()


def _import_ray() -> ModuleType:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anybody
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            f"the engine ray needs the package ray ({error}): pip install 'featstore[ray]', here and on every node."
        ) from error
    return ray


def _connect(ray: ModuleType, address: str | None, workers: int | None) -> None:
    # What Ray prints of workers goes to stdout in part, and stdout is data; see featstore.scale.actor. Of a lost node
    # it prints pages, which no option turns off.
    quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
    ray._private.worker._worker_logs_enabled = False
    try:
        if address is None:
            ray.init(address="local", num_cpus=workers, include_dashboard=False, **quiet)
        else:
            ray.init(address=address, **quiet)
    except ConnectionError as error:
        raise ResourceError(
            f"no Ray cluster answers at {address}: {error}. `ray start --head` on one machine starts it, and `ray "
            "start --address HOST:6379` on another joins it. If it is there, it may want a token: set "
            "RAY_AUTH_MODE=token, and have the same ~/.ray/auth_token on all machines."
        ) from error
    except RuntimeError as error:  # another version of Ray or Python
        raise MismatchError(f"the Ray cluster at {address} cannot be used from here: {error}") from error


def _engine(ray: ModuleType, workers: int | None) -> RayEngine:
    cores = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    engine = RayEngine(ray, workers or max(1, sum(cores)), max(1, *cores))
    _log.info("Ray: %s, %s", count_of(len(cores), "node"), count_of(engine.workers, "worker"))
    return engine


class RayEngine:
    """Actors of a cluster; :func:`ray_engine` makes it.

    Args:
        ray: the package, connected.
        workers: how many actors.
        cores: of the largest node.
    """

    def __init__(self, ray: ModuleType, workers: int, cores: int) -> None:
        self._ray, self._workers, self._cores = ray, workers, cores

    @property
    def workers(self) -> int:
        return self._workers

    @property
    def workers_a_machine(self) -> int:
        return min(self._workers, self._cores)

    def run(
        self, job: Job[WorkT, OutcomeT], items: Iterable[WorkT], hear: Tell | None = None
    ) -> Generator[Done[OutcomeT], None, None]:
        """Do all items; see :class:`~featstore.scale.engine.Engine`."""
        handout = Handout(items)
        first = [handed for _ in range(self._workers) if (handed := handout.next())]
        for handed in reversed(first):
            handout.give_back(handed)
        if not first:
            return
        crew = _Crew(self._ray, job, len(first), handout, hear)
        try:
            while crew.is_working():
                yield from crew.ended()
        finally:
            crew.dismiss()


class _Crew(Generic[WorkT]):
    """The actors of a run: those that load, those that are at an item, and those that are free."""

    def __init__(self, ray: ModuleType, job: object, size: int, handout: Handout[WorkT], hear: Tell | None) -> None:
        self._ray, self._size, self._handout, self._hear = ray, size, handout, hear
        self._given = ray.put(ray.cloudpickle.dumps(job)), versions(_PACKAGES), os.getcwd()
        ray.cloudpickle.register_pickle_by_value(actor)
        try:
            self._actors = ray.remote(num_cpus=1, max_restarts=0)(actor.Actor)
            self._loading: dict[Any, Any] = {}  # the answer to come -> the actor
            self._busy: dict[Any, tuple[Any, Handed[WorkT]]] = {}  # the messages to come -> the actor and its item
            self._free: list[Any] = []
            self._lost_loading = 0
            for _ in range(size):
                self._start()
        finally:
            ray.cloudpickle.unregister_pickle_by_value(actor)

    def _start(self) -> None:
        started = self._actors.remote()
        self._loading[started.load.remote(*self._given)] = started

    def is_working(self) -> bool:
        """Give items to those that are free; return whether there is anything to wait for."""
        self._hand_out()
        if self._busy:
            self._handout.look_ahead()
        return bool(self._busy) or not self._free

    def _hand_out(self) -> None:
        while self._free and (handed := self._handout.next()) is not None:
            free = self._free.pop()
            self._busy[free.do.options(num_returns="streaming").remote(handed.item)] = free, handed

    def ended(self) -> Iterator[Done[Any]]:
        """Wait until there is something to hear, and yield what became of items.

        Raises:
            FeatstoreError: what ended the work on an item.
            MismatchError: a node has other versions.
            ResourceError: too many actors were lost before they could do anything.
        """
        for reference in self._ready():
            if reference in self._loading:
                self._loaded(reference)
                continue
            message = self._found(next(reference))
            if message is not None and message[0] != RESULT:
                self._pass_on(message)
                continue
            worker, handed = self._busy.pop(reference)
            if message is not None:
                self._free.append(worker)
                self._hand_out()
                yield Done(handed.number, message[1])
                continue
            self._ray.kill(worker)  # it may be there, but out of reach
            self._start()
            if not self._handout.lost(handed):
                yield Done(handed.number, None)

    def _ready(self) -> list[Any]:
        """Wait; return where there is something to hear."""
        waiting = [*self._loading, *self._busy]
        ready: list[Any] = []
        while not ready:
            ready, _ = self._ray.wait(waiting, num_returns=len(waiting), timeout=0)
            if not ready:
                ready, _ = self._ray.wait(waiting, timeout=_SECONDS_OF_SILENCE)
            if not ready and not self._busy:
                _log.warning("no worker has begun yet; is a core of the Ray cluster free? Waiting for one.")
        return ready

    def _loaded(self, reference: object) -> None:
        """Note that an actor has loaded what it needs, or was lost before."""
        worker, found = self._loading.pop(reference), self._found(reference)
        if found:
            raise MismatchError(
                f"{found}: all nodes need what this machine has, or their results would differ. Install featstore "
                "there with the same constraints.txt as here."
            )
        if found is not None:
            self._free.append(worker)
            return
        self._lost_loading += 1
        if self._lost_loading > self._size:
            raise ResourceError(
                "workers of the Ray cluster end while they are loading; is there memory for so many on a node? Fewer "
                "--workers need less."
            )
        self._start()

    def _found(self, reference: object) -> Any:
        """Return what an actor returned, or None if the actor is lost."""
        errors = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except errors.RayTaskError as error:
            if isinstance(error.cause, FeatstoreError):
                raise error.cause from None
            raise RuntimeError(f"a worker failed:\n{error}") from error
        except errors.RayError as error:
            _log.warning("a worker is lost: %s", str(error).strip().splitlines()[0])
            return None

    def _pass_on(self, message: Message) -> None:
        """Log here what a worker has logged; let be heard what it tells."""
        kind, what = message
        if kind == LOGGED:
            name, level, text = what
            logging.getLogger(name).log(level, "%s", text)
        elif self._hear:
            self._hear(what)

    def dismiss(self) -> None:
        """End all actors, whatever they are at."""
        for each in (*self._loading.values(), *(busy for busy, _ in self._busy.values()), *self._free):
            self._ray.kill(each)
