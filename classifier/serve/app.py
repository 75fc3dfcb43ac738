"""The page and its JSON API, as an ASGI application.

In: a :class:`~classifier.serve.service.Service`. Out: the application: ``/`` is the page, ``/api/extract``,
``/api/documents`` and ``/api/models`` are what it calls, ``/healthz`` is for monitors. Nothing of a request's text is
logged, no file of the server can be read but those of the page, and nothing from elsewhere is loaded.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from importlib.resources import files

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from classifier.serve.gather import QueueFullError
from classifier.serve.limits import Limits
from classifier.serve.lines import LineResponse, extract_lines, stream_work
from classifier.serve.protect import Protect, read_body
from classifier.serve.schema import BadItem, ExtractRequest, Models, ReadDocuments, Refusal
from classifier.serve.service import Answer, RequestedWork, Service, read_upload
from classifier.serve.translate import answer_of, as_given, model_info, plain_errors, problems_of, work_of
from featstore.errors import DataError, FeatstoreError, UsageError
from featstore.formats import BadDocument, writable

RETRY_AFTER = 2  # seconds
LINES = "application/x-ndjson"
MEDIA_TYPES = {"jsonl": LINES, "bioc-json": "application/json", "bioc-xml": "application/xml"}
PAGE = {
    "": ("index.html", "text/html"),
    "page.css": ("page.css", "text/css"),
    "page.js": ("page.js", "text/javascript"),
    "api.js": ("api.js", "text/javascript"),
    "text.js": ("text.js", "text/javascript"),
}


def create_app(service: Service, *, limits: Limits | None = None, hosts: tuple[str, ...] = ("*",)) -> FastAPI:
    """Return the application.

    Args:
        service: the models; it is closed, with what waits finished, when the application ends.
        limits: what one request may ask for.
        hosts: the names under which the server may be addressed; ``*`` is any. A server on the loopback interface
            should answer to its own names only, so that no other site can reach it through a name of its own.
    """
    bounds = limits or Limits()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(service.close)

    app = FastAPI(
        title="featstore",
        version=version("featstore"),
        summary="Relations between chemicals, genes and diseases, extracted from text.",
        docs_url=None,  # these pages would load scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
        responses={code: {"model": Refusal} for code in (400, 408, 413, 422, 503)},
    )
    app.add_middleware(Protect)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))
    _answer_errors(app)
    _add_page(app)
    _add_api(app, service, bounds)
    return app


def _add_page(app: FastAPI) -> None:
    for route, (name, media) in PAGE.items():
        content = files("classifier.serve").joinpath("page", name).read_bytes()
        app.get(f"/{route}", include_in_schema=False)(_sends(content, media))


def _sends(content: bytes, media: str) -> Callable[[], Response]:
    def send() -> Response:
        return Response(content, media_type=media)

    return send


def _add_api(app: FastAPI, service: Service, limits: Limits) -> None:
    async def wait_for(work: RequestedWork) -> Answer:
        """Queue work and wait for it, no longer than the limit says."""
        return await asyncio.wait_for(asyncio.wrap_future(service.submit(work)), limits.seconds)

    @app.get("/healthz", summary="Whether the server runs.")
    async def health() -> dict[str, str]:
        return {"status": "ok", "version": version("featstore")}

    @app.get("/api/models", summary="The installed models, the default one first, and the formats of answers.")
    async def models() -> Models:
        found = [model_info(name, extractor) for name, extractor in service.models.items()]
        return Models(models=found, formats=list(writable()))

    @app.post("/api/documents", summary="Read a file of documents, in any format that cli extract reads.")
    async def documents(request: Request, name: str) -> ReadDocuments:
        content = await read_body(request, limits.body_bytes, limits.seconds)
        found = await asyncio.to_thread(read_upload, name, content)
        read = [each for each in found if not isinstance(each, BadDocument)]
        good = [as_given(each) for each in read]
        bad = [BadItem(id=each.id, where=each.where, why=each.why) for each in found if isinstance(each, BadDocument)]
        problems = [item for each in read for item in problems_of(each.id, each.problems)]
        if len(good) > limits.documents:
            raise HTTPException(413, f"the file holds {len(good):,} documents; at most {limits.documents:,} are taken.")
        return ReadDocuments(documents=good, bad=bad, problems=problems)

    body = {"content": {"application/json": {"schema": ExtractRequest.model_json_schema()}, LINES: {}}}

    @app.post(
        "/api/extract", summary="Extract relations from a text or from documents.", openapi_extra={"requestBody": body}
    )
    async def extract(request: Request, to: str | None = None) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip() == LINES:
            work = stream_work(request, service, limits)
            return LineResponse(extract_lines(request, work, service, limits, wait_for))
        given = ExtractRequest.model_validate_json(await read_body(request, limits.body_bytes, limits.seconds))
        work = work_of(given, service, limits)
        answer = await wait_for(work)
        if to is None:
            return JSONResponse(answer_of(answer, service.models[work.model].facts))
        text = service.write(answer, work.model, to)
        return Response(text, media_type=MEDIA_TYPES.get(to, "text/plain"))


def _answer_errors(app: FastAPI) -> None:
    """Every error is answered with one sentence in JSON, and with a code that says whose fault it is."""

    def problem(code: int, text: str, **headers: str) -> JSONResponse:
        return JSONResponse({"error": text}, code, headers)

    @app.exception_handler(QueueFullError)
    async def full(_: Request, __: Exception) -> Response:
        return problem(503, "the server is busy; try again.", **{"Retry-After": str(RETRY_AFTER)})

    @app.exception_handler(TimeoutError)
    async def late(_: Request, __: Exception) -> Response:
        return problem(408, "the request took too long; send less text at once.")

    @app.exception_handler(FeatstoreError)
    async def refused(_: Request, error: Exception) -> Response:
        code = 422 if isinstance(error, DataError) else 400 if isinstance(error, UsageError) else 500
        return problem(code, str(error))

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> Response:
        return problem(error.status_code, str(error.detail), **(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    @app.exception_handler(ValidationError)
    async def invalid(_: Request, error: RequestValidationError | ValidationError) -> Response:
        return problem(422, plain_errors(error.errors()))
