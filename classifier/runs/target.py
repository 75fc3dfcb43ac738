"""What a training makes, and where it belongs: a fold of a run, or what else has a model and facts in a folder.

In: a run's folder or address, a fold and the configuration. Out: a :class:`Target`, which says which files there are
its own and in which order they are put at an address, such that a process that is killed in between leaves nothing that
reads as finished (:mod:`classifier.runs.workplace`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import blake2b
from pathlib import Path

from classifier.runs.config import CARD, CONFIG, PREDICTIONS, RunConfig, config_toml
from classifier.runs.facts import METRICS, RUN
from featstore.addresses import address_of, spelled
from featstore.cache import cache_home
from featstore.errors import ResourceError


@dataclass(frozen=True, slots=True)
class Target:
    """What is worked on, in a folder of this machine or at an address.

    Attributes:
        name: what messages call it.
        run_dir: the folder of the run, or its address.
        below: the folder in it that is worked on; empty: itself.
        config: the configuration as text; what is unfinished of another one is not gone on with.
        model: patterns of the names of the model's files.
        shared: files of the run's own folder that follow the model.
        early: names of the files that come next. The last one is that by which all is finished, and has the digests of
            the model.
        late: patterns of the names of the files that may follow, in that order.
    """

    name: str
    run_dir: Path
    below: str
    config: str
    model: tuple[str, ...]
    shared: tuple[str, ...]
    early: tuple[str, ...]
    late: tuple[str, ...]

    @property
    def facts(self) -> str:
        """The name of the file by which it is finished."""
        return self.early[-1]

    @property
    def work_folder(self) -> Path:
        """The folder to work in: the run's own, or for a run at an address one of this machine.

        Raises:
            ResourceError: this machine has no folder for it.
        """
        address = address_of(self.run_dir)
        if address is None:
            return self.run_dir
        try:
            home = cache_home()
        except FileNotFoundError as error:
            raise ResourceError(
                f"{address} cannot be worked on: {error}; set it to a folder that can be written."
            ) from error
        told = json.dumps([address.rstrip("/"), self.below, self.config])
        return home / "featstore-runs" / blake2b(told.encode(), digest_size=16).hexdigest() / self.run_dir.name

    def model_files(self, names: Iterable[str]) -> list[str]:
        """Return those of some names that are files of the model, sorted."""
        others = {*self.early, *self.late_files(names)}
        return sorted(n for n in names if n not in others and any(fnmatchcase(n, pattern) for pattern in self.model))

    def late_files(self, names: Iterable[str]) -> list[str]:
        """Return those of some names that may follow, in the order in which they do."""
        return [name for pattern in self.late for name in sorted(names) if fnmatchcase(name, pattern)]


def fold_target(run_dir: Path, fold: int, config: RunConfig) -> Target:
    """Return a fold of a run."""
    return Target(
        name=f"fold {fold} of {spelled(run_dir)}",
        run_dir=run_dir,
        below=f"fold-{fold}",
        config=config_toml(config),
        model=("*",),
        shared=(CONFIG,),
        early=(CONFIG, RUN),
        late=(CARD, PREDICTIONS, METRICS),
    )
