"""Protection of the server from misuse: headers, the origin of requests, and the size of their bodies."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# The page needs its own script and style and calls its own server; nothing else may be loaded, sent or framed.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Protect:
    """Middleware that refuses requests which pages of other origins make, and adds :data:`HEADERS` to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        if is_foreign(Headers(scope=scope)):
            refused = JSONResponse({"error": "pages of other origins may not call this server."}, 403)
            await refused(scope, receive, send_protected)
            return
        await self._app(scope, receive, send_protected)


def is_foreign(headers: Headers) -> bool:
    """Return whether the browser states that a page of another origin makes this request."""
    origin, host = headers.get("origin"), headers.get("host", "")
    return origin is not None and origin.partition("://")[2] != host


async def read_body(request: Request, limit: int, seconds: float) -> bytes:
    """Return the body of a request.

    Args:
        request: the request.
        limit: the most bytes that it may have.
        seconds: the longest time that it may take.

    Raises:
        HTTPException: 413, it is longer.
        TimeoutError: it takes longer.
    """
    body = bytearray()
    async with asyncio.timeout(seconds):
        async for piece in request.stream():
            body += piece
            if len(body) > limit:
                raise HTTPException(413, f"the request has more than {limit:,} bytes; send it in pieces.")
    return bytes(body)
