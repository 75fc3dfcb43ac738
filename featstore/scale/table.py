"""The engines by name, as ``--engine`` takes them.

In: ``local``, ``ray`` or ``ray:ADDRESS``. Out: the engine, for as long as it is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from featstore.errors import UsageError
from featstore.scale.engine import Engine
from featstore.scale.local import LocalEngine

LOCAL = "local"
RAY = "ray"


def check_engine(spec: str) -> str:
    """Return ``spec`` if it names an engine.

    Raises:
        UsageError: it does not.
    """
    name, colon, address = spec.partition(":")
    if spec == LOCAL or (name == RAY and bool(colon) == bool(address)):
        return spec
    raise UsageError(
        f"the engine '{spec}' is unknown; write local, ray (starts Ray on this machine) or ray:ADDRESS (the cluster at "
        "that address; ray:auto is the one that runs on this machine)."
    )


@contextmanager
def open_engine(spec: str, workers: int | None = None) -> Iterator[Engine | None]:
    """Open an engine, and let go of it at the end.

    Args:
        spec: its name.
        workers: how many; None: on a cluster, as many as it has cores.

    Yields:
        the engine; None for ``local`` with one worker, or an unknown number: the work can be done in this process.

    Raises:
        UsageError: an unknown name, or a package that is missing.
        ResourceError, MismatchError: see :func:`featstore.scale.on_ray.ray_engine`.
    """
    name, _, address = check_engine(spec).partition(":")
    if name == LOCAL:
        yield LocalEngine(workers) if workers is not None and workers > 1 else None
        return
    from featstore.scale.on_ray import ray_engine

    with ray_engine(address or None, workers) as engine:
        yield engine
