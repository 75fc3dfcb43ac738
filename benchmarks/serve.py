"""The server under load, on the loopback interface: how many requests a second, how late, and what gathering brings.

    python benchmarks/serve.py --model DIR --seconds 60

In: a model and the documents of the bundled sample. Out: a table. Measured are, one after the other,

    one      one client that sends a document, waits for the answer and sends the next
    many     fifty clients that do the same at the same time, for --seconds
    extract  ``cli extract`` with all these documents in one file, without its start

Each request holds one document. Every answer of the many clients is compared with the one that the document got alone:
an answer that is missing or differs is lost. The memory is the server's resident set, read each second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from featstore.bundled import bundled
from featstore.documents import Document
from featstore.formats import read_documents

CLIENTS = 50


@dataclass(slots=True)
class Load:
    """The measurements of some clients.

    Attributes:
        seconds: from the first request to the last answer.
        waits: seconds from each request to its answer.
        refused: number of requests that were answered with 503 and sent again.
        lost: answers that did not come or were not those that the document gets alone.
        memory: the server's resident bytes, once a second.
    """

    seconds: float = 0.0
    waits: list[float] = field(default_factory=list)
    refused: int = 0
    lost: int = 0
    memory: list[int] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.waits) / self.seconds


@contextmanager
def server(model: Path) -> Iterator[tuple[str, int]]:
    """Yield the address and the process of a server."""
    command = [sys.executable, "-m", "cli", "serve", "--model", str(model), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        found = None
        for line in process.stderr:
            if found := re.search(r"http://\S+/", line):
                break
        assert found, "the server did not start"
        try:
            yield found[0], process.pid
        finally:
            process.terminate()


def as_json(document: Document) -> dict[str, Any]:
    entities = [{"id": e.id, "type": e.type, "start": e.start, "end": e.end} for e in document.entities]
    return {"id": document.id, "text": document.text, "entities": entities}


def resident(pid: int) -> int:
    """Return the resident memory of a process in bytes."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    assert found
    return 1024 * int(found[1])


async def one_client(address: str, requests: list[dict[str, Any]], seconds: float) -> tuple[Load, list[Any]]:
    """Send the requests one after the other, again and again; return also the answer to each."""
    load = Load()
    answers: list[Any] = []
    async with httpx.AsyncClient(base_url=address, timeout=60) as client:
        start = time.perf_counter()
        while len(answers) < len(requests) or time.perf_counter() - start < seconds:
            sent = time.perf_counter()
            response = await client.post("api/extract", json=requests[len(load.waits) % len(requests)])
            load.waits.append(time.perf_counter() - sent)
            if len(answers) < len(requests):
                answers.append(response.json())
        load.seconds = time.perf_counter() - start
    return load, answers


async def many_clients(
    address: str, requests: list[dict[str, Any]], answers: list[Any], seconds: float, pid: int
) -> Load:
    """Let CLIENTS clients send the requests for ``seconds``."""
    load, start = Load(), time.perf_counter()

    async def client_of(number: int, client: httpx.AsyncClient) -> None:
        place = number
        while time.perf_counter() - start < seconds:
            sent = time.perf_counter()
            response = await client.post("api/extract", json=requests[place % len(requests)])
            if response.status_code == 503:
                load.refused += 1
                await asyncio.sleep(float(response.headers["Retry-After"]))
                continue
            load.waits.append(time.perf_counter() - sent)
            load.lost += response.json() != answers[place % len(requests)]
            place += CLIENTS

    async def watch() -> None:
        while True:
            load.memory.append(resident(pid))
            await asyncio.sleep(1)

    limits = httpx.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)
    async with httpx.AsyncClient(base_url=address, timeout=60, limits=limits) as client:
        watcher = asyncio.create_task(watch())
        await asyncio.gather(*(client_of(number, client) for number in range(CLIENTS)))
        watcher.cancel()
    load.seconds = time.perf_counter() - start
    return load


def extract(model: Path, documents: list[dict[str, Any]], copies: int) -> float:
    """Documents a second of ``cli extract``."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "in.jsonl")
        lines = [json.dumps({**d, "id": f"{d['id']}-{n}"}) + "\n" for n in range(copies) for d in documents]
        source.write_text("".join(lines), encoding="utf-8")
        command = [sys.executable, "-m", "cli", "extract", "--model", str(model), str(source), "--json"]
        done = subprocess.run([*command, "-o", f"{folder}/out.jsonl"], check=True, capture_output=True, text=True)
        return len(lines) / float(json.loads(done.stdout)["seconds"])


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a model's folder (cli bundle)")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the fifty clients go on")
    chosen = parser.parse_args()
    sample = bundled("sample") / "chemprot"
    documents = [as_json(d) for d in read_documents(sample, "chemprot") if isinstance(d, Document)]
    requests = [{"documents": [d]} for d in documents]
    with server(chosen.model) as (address, pid):
        one, answers = asyncio.run(one_client(address, requests, chosen.seconds / 4))
        many = asyncio.run(many_clients(address, requests, answers, chosen.seconds, pid))
    alone = extract(chosen.model, documents, copies=max(1, round(many.rate * 10 / len(documents))))
    print("| | requests/s | median ms | 99 % below, ms |\n|---|---|---|---|")
    for name, load in (("one client", one), (f"{CLIENTS} clients", many)):
        waits = statistics.quantiles(load.waits, n=100)
        print(f"| {name} | {load.rate:.1f} | {1000 * waits[49]:.0f} | {1000 * waits[98]:.0f} |")
    print(f"| cli extract | {alone:.1f} | | |\n")
    print(
        f"gathering: {many.rate / one.rate:.2f} times one client; cli extract: {alone / many.rate:.2f} times the server"
    )
    settled = many.memory[len(many.memory) // 4 :]
    print(f"lost {many.lost}, refused {many.refused}; memory {settled[0] / 1e6:.0f} MB to {max(settled) / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
