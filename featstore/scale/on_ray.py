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

from featstore.errors import FeatstoreError, MismatchError, ResourceError, UsageError
from featstore.scale import actor
from featstore.scale.actor import Logged, versions
from featstore.scale.engine import Done, Handed, Handout, Job, OutcomeT, WorkT

_log = logging.getLogger(__name__)
# What decides, beside the weights, which bytes a worker writes.
_PACKAGES = ("featstore", "numpy", "torch", "h5py", "zarr")


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
    # What Ray would print of the workers goes to stdout in part, and stdout is data; see featstore.scale.actor.
    quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
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
    return RayEngine(ray, workers or max(1, int(ray.cluster_resources().get("CPU", 1))))


class RayEngine:
    """Actors of a cluster; :func:`ray_engine` makes it.

    Args:
        ray: the package, connected.
        workers: how many actors.
    """

    def __init__(self, ray: ModuleType, workers: int) -> None:
        self._ray, self._workers = ray, workers

    @property
    def workers(self) -> int:
        return self._workers

    def run(self, job: Job[WorkT, OutcomeT], items: Iterable[WorkT]) -> Generator[Done[OutcomeT], None, None]:
        """Do all items; see :class:`~featstore.scale.engine.Engine`."""
        handout = Handout(items)
        first = handout.next()
        if first is None:
            return
        handout.give_back(first)
        crew: _Crew[WorkT] = _Crew(self._ray, job, self._workers)
        try:
            while crew.is_working(handout):
                for handed, result in crew.ended():
                    if result is not None or not handout.lost(handed):
                        yield Done(handed.number, result)
        finally:
            crew.dismiss()


class _Crew(Generic[WorkT]):
    """The actors of a run: those that load, those that are at an item, and those that are free."""

    def __init__(self, ray: ModuleType, job: object, size: int) -> None:
        self._ray, self._size = ray, size
        self._given = ray.put(ray.cloudpickle.dumps(job)), versions(_PACKAGES), os.getcwd()
        ray.cloudpickle.register_pickle_by_value(actor)
        try:
            self._actors = ray.remote(num_cpus=1, max_restarts=0)(actor.Actor)
            self._loading: dict[Any, Any] = {}  # the answer to come -> the actor
            self._busy: dict[Any, tuple[Any, Handed[WorkT]]] = {}  # the result to come -> the actor and its item
            self._free: list[Any] = []
            self._lost_loading = 0
            for _ in range(size):
                self._start()
        finally:
            ray.cloudpickle.unregister_pickle_by_value(actor)

    def _start(self) -> None:
        started = self._actors.remote()
        self._loading[started.load.remote(*self._given)] = started

    def is_working(self, handout: Handout[WorkT]) -> bool:
        """Give items to those that are free; return whether there is anything to wait for."""
        while self._free and (handed := handout.next()) is not None:
            actor = self._free.pop()
            self._busy[actor.do.remote(handed.item)] = actor, handed
        return bool(self._busy) or not self._free

    def ended(self) -> Iterator[tuple[Handed[WorkT], Any]]:
        """Wait until something has ended, and yield the items that have, each with its result, or None if it is lost.

        Raises:
            FeatstoreError: what ended the work on an item.
            MismatchError: a node has other versions.
            ResourceError: too many actors were lost before they could do anything.
        """
        ready, _ = self._ray.wait([*self._loading, *self._busy])
        for reference in ready:
            found = self._found(reference)
            if reference in self._busy:
                worker, handed = self._busy.pop(reference)
                yield handed, None if found is None else _told(*found)
            else:
                worker = self._loading.pop(reference)
                self._lost_loading += found is None
                if found:
                    raise MismatchError(
                        f"{found}: all nodes need what this machine has, or their results would differ. Install "
                        "featstore there with the same constraints.txt as here."
                    )
            if found is not None:
                self._free.append(worker)
            elif self._lost_loading > self._size:
                raise ResourceError(
                    "workers of the Ray cluster end while they are loading; is there memory for so many on a node? "
                    "Fewer --workers need less."
                )
            else:
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

    def dismiss(self) -> None:
        """End all actors, whatever they are at."""
        for each in (*self._loading.values(), *(busy for busy, _ in self._busy.values()), *self._free):
            self._ray.kill(each)


def _told(result: OutcomeT, logged: Iterable[Logged]) -> OutcomeT:
    """Log here what a worker has logged; return its result."""
    for name, level, message in logged:
        logging.getLogger(name).log(level, "%s", message)
    return result
