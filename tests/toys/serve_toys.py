"""A server with a toy model, on a free port of the loopback interface."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from toy_model import make_extractor

from classifier.serve import Limits, Service, create_app

HOSTS = ("127.0.0.1", "localhost")
SMALL = Limits(body_bytes=20_000, documents=5, document_characters=2_000, waiting_characters=4_000, seconds=10)


@contextmanager
def serving(limits: Limits) -> Iterator[str]:
    """Yield the address of a server that runs in a thread of this process."""
    service = Service({"toy": make_extractor(), "other": make_extractor(context="tagged")}, limits)
    app = create_app(service, limits=limits, hosts=HOSTS)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    assert server.started
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive()
    listener.close()
