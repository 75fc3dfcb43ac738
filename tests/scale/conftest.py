"""A Ray cluster of two nodes on this machine, for the tests that need one."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def cluster(s3_settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A cluster whose two nodes have a core each and reach S3; this process is connected to it."""
    ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        paths = (ROOT, ROOT / "tests" / "toys", ROOT / "tests" / "featurize")
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, paths)))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        for name, value in s3_settings.items():
            patch.setenv(name, value)
        patch.setenv("RAY_enable_worker_prestart", "0")
        patch.setattr(sys, "argv", ["pytest"])
        try:
            node = {"num_cpus": 1, "include_dashboard": False}
            found = Cluster(initialize_head=True, connect=True, head_node_args=node)
        except Exception as error:  # no ports to listen on, or a machine too busy for Ray's own time limits
            pytest.skip(f"no Ray cluster starts on this machine: {error}")
        try:
            found.add_node(num_cpus=1)
            yield found
        finally:
            ray.shutdown()
            found.shutdown()  # type: ignore[no-untyped-call]
