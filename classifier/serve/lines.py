"""A stream of documents: JSON lines in, JSON lines out, in the same order, with bounded memory.

In: a request whose body is a document a line, as long as the client likes. Out: the lines that ``cli extract`` would
write; one of a document of which something was left out has ``problems`` besides. A malformed line gives a line with an
``error`` in its place. Lines are worked on in small blocks, so that a long
stream leaves room for other requests in between.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from classifier.extract.wanted import Extraction
from classifier.serve.gather import QueueFullError
from classifier.serve.limits import Limits
from classifier.serve.schema import ExtractRequest, GivenDocument
from classifier.serve.service import Answer, RequestedWork, Service
from classifier.serve.translate import document_of, json_line, plain_errors, problems_of, work_of
from featstore.documents import Document
from featstore.errors import DataError
from featstore.formats import ModelFacts

BLOCK = 32  # documents
PAUSE = 0.2  # seconds between two tries while the queue is full
BYTES_A_CHARACTER = 12  # at most, in JSON: two escapes of six characters for one outside of the basic plane

Wait = Callable[[RequestedWork], Awaitable[Answer]]


def stream_work(request: Request, service: Service, limits: Limits) -> RequestedWork:
    """Return what the options in the address of a streaming request ask for, without documents.

    Raises:
        UsageError: an option that is unknown or out of range, or a model that is not installed.
    """
    options = ExtractRequest.model_validate_strings({**request.query_params, "text": ""})
    work = work_of(options, service, limits)
    return RequestedWork(work.model, (), work.wanted, work.tag)


class LineResponse(Response):
    """An answer that is written while the request is still read.

    Starlette's own streaming response listens for the end of the connection, and so takes the pieces of the request's
    body away from whoever reads it.
    """

    media_type = "application/x-ndjson"

    def __init__(self, lines: AsyncIterator[str]) -> None:
        super().__init__()
        self._lines = lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        headers = [(name, value) for name, value in self.raw_headers if name != b"content-length"]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        async for piece in self._lines:
            await send({"type": "http.response.body", "body": piece.encode(), "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def extract_lines(
    request: Request, work: RequestedWork, service: Service, limits: Limits, wait_for: Wait
) -> AsyncIterator[str]:
    """Yield a line for each line of the request.

    Args:
        request: the request; its body is read as it comes.
        work: the model and the options.
        service: the models.
        limits: how long a document, and so a line, may be.
        wait_for: has work done.
    """
    block: list[Document | str] = []
    async for line in _lines(request, limits.document_characters * BYTES_A_CHARACTER):
        block.append(_document(line, limits))
        if len(block) == BLOCK:
            yield await _answered(block, work, service, wait_for)
            block = []
    if block:
        yield await _answered(block, work, service, wait_for)


async def _lines(request: Request, longest: int) -> AsyncIterator[bytes]:
    """Yield the lines of a body that are not blank; of one that is too long the beginning, and then nothing more."""
    rest = b""
    async for piece in request.stream():
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            if line.strip():
                yield line
        if len(rest) > longest:
            break
    if rest.strip():
        yield rest


def _document(line: bytes, limits: Limits) -> Document | str:
    """Return the document of a line, or what is wrong with it."""
    try:
        return document_of(GivenDocument.model_validate_json(line), limits)
    except ValidationError as error:
        return plain_errors(error.errors())
    except DataError as error:
        return str(error)


async def _answered(block: Sequence[Document | str], work: RequestedWork, service: Service, wait_for: Wait) -> str:
    """Return the lines of a block."""
    documents = tuple(each for each in block if isinstance(each, Document))
    answers = iter(await _patiently(RequestedWork(work.model, documents, work.wanted, work.tag), wait_for))
    facts = service.models[work.model].facts
    written = []
    for each in block:
        if isinstance(each, Document):
            found = next(answers)
            written.append(_line(found, facts) if isinstance(found, Extraction) else _error(found.why, found.id))
        else:
            written.append(_error(each))
    return "".join(written)


def _line(found: Extraction, facts: ModelFacts) -> str:
    """Return a document's line; what was left out of it is told in a member of its own."""
    line = json_line(found, facts)
    if not found.problems:
        return line
    problems = [item.model_dump() for item in problems_of(found.document.id, found.problems)]
    return json.dumps({**json.loads(line), "problems": problems}, ensure_ascii=False) + "\n"


async def _patiently(work: RequestedWork, wait_for: Wait) -> Answer:
    """Have work done; a stream, unlike a single request, can wait until the queue has room."""
    while True:
        try:
            return await wait_for(work)
        except QueueFullError:
            await asyncio.sleep(PAUSE)


def _error(why: str, id_: str = "") -> str:
    return json.dumps({"id": id_, "error": why}, ensure_ascii=False) + "\n"
