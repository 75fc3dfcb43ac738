"""What all tests share: hypothesis without deadlines, a cache of their own, S3, and small pre-trainings.

A busy machine makes the inputs of hypothesis slow, which is no failure.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from importlib import import_module

import fsspec
import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the cache of whoever runs the tests out of them, those in other processes as well."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Address of a server that speaks S3 (moto), on the loopback, in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    yield f"http://127.0.0.1:{port}"
    server.terminate()
    server.wait()


@pytest.fixture(scope="session")
def s3_settings(s3_server: str) -> dict[str, str]:
    """The environment in which a user reaches that server."""
    return {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


@pytest.fixture
def s3(s3_settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Address of an empty bucket; the environment is set as a user would set it."""
    for name, value in s3_settings.items():
        monkeypatch.setenv(name, value)
    bucket = f"s3://bucket-{secrets.token_hex(6)}"
    fsspec.filesystem("s3", skip_instance_cache=True).mkdir(bucket)
    return bucket


@pytest.fixture
def s3_requests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The operations that are asked of S3 from now on, such as ``GetObject``."""
    client = import_module("aiobotocore.client").AioBaseClient
    asked, call = list[str](), client._make_api_call

    async def noted(self: object, operation: str, parameters: object) -> object:
        asked.append(operation)
        return await call(self, operation, parameters)

    monkeypatch.setattr(client, "_make_api_call", noted)
    return asked


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pre-train in the process of the test, since starting another takes most of the time of a small training."""
    from featstore.pretrain.parallel import Group, ParallelJob

    def run_here(jobs: Sequence[ParallelJob], report: object) -> None:
        for job in jobs:
            job.function(*job.arguments, Group(), report)

    for module in ("bert", "cse", "elmo", "glove"):
        monkeypatch.setattr(f"featstore.pretrain.{module}.run_jobs", run_here)
