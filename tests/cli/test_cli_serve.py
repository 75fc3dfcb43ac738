"""``cli serve`` as a user starts and ends it."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def model(run: Run, pairs: Callable[[Path], Path], tmp_path: Path) -> str:
    corpus = f"jsonl:{pairs(tmp_path / 'pairs.jsonl')}"
    assert run("featurize", "--encoders", "glove", "--corpus", corpus).code == 0
    small = ("--max-epochs", "1", "--hidden", "8")
    assert run("train", "--features", "glove", "--corpus", corpus, "--run", "runs/m", *small).code == 0
    assert run("bundle", "--run", "runs/m", "-o", "M", "--without-encoders").code == 0
    return "M"


def test_the_page_and_its_api_are_served_until_ctrl_c(model: str) -> None:
    command = [sys.executable, "-m", "cli", "serve", "--model", model, "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            line = server.stderr.readline()
            found = re.search(r"http://127\.0\.0\.1:\d+/", line)
            assert found, line + server.stderr.read()
            with urllib.request.urlopen(found[0], timeout=20) as page:
                assert b"<title>featstore" in page.read()
            body = json.dumps({"text": "Aspirin inhibits COX-2.", "tag": "never"}).encode()
            request = urllib.request.Request(
                found[0] + "api/extract", body, {"Content-Type": "application/json"}, method="POST"
            )
            with urllib.request.urlopen(request, timeout=20) as answer:
                assert json.load(answer)["documents"][0]["text"] == "Aspirin inhibits COX-2."
        finally:
            server.send_signal(signal.SIGINT)
        assert server.wait(20) in (0, 130)


def test_the_model_of_a_run_is_served_as_extract_takes_it(
    run: Run, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert model == "M"  # the run that it was bundled from is runs/m
    served: list[list[str]] = []
    monkeypatch.setattr("classifier.serve.create_app", lambda service, **_: served.append(list(service.models)))
    monkeypatch.setattr("uvicorn.Server.run", lambda *_: None)
    assert run("serve", "--run", "m", "--port", "0").code == 0
    assert run("serve", "--model", "M", "--port", "0").code == 0
    assert served == [["m"], ["m"]]  # a bundle is called as its run
    assert "same name" in run("serve", "--model", "M", "--run", "runs/m", "--port", "0").err
    assert run("serve", "--run", "nothing").code == 4


def test_what_cannot_be_served_is_refused(run: Run, model: str) -> None:
    assert run("serve", "--model", "missing").code == 4
    twice = run("serve", "--model", model, "--model", model)
    assert twice.code == 2
    assert "same name" in twice.err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = run("serve", "--model", model, "--port", port)
    assert refused.code == 6
    assert "--port 0" in refused.err
