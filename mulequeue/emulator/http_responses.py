"""HTTP responses of the emulator: JSON with a trace id, text, redirects and cut connections."""

from __future__ import annotations

import json
import os
from typing import Any

from aiohttp import hdrs
from aiohttp.web import BaseRequest, ContentCoding, Response, StreamResponse

from mulequeue.emulator import response_bodies
from mulequeue.emulator.faults import Burst

_JSON = "application/json"
_PAGE = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"


def json_reply(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a JSON response with a ``Traceparent`` header, the trace id for MuleRouter's support."""
    return Response(
        body=json.dumps(body).encode(),
        status=status,
        headers={"Content-Type": _JSON, "Traceparent": _traceparent(), **(headers or {})},
    )


def problem_reply(request: BaseRequest, status: int, **parts: Any) -> Response:
    """Return a response with the object that :func:`mulequeue.emulator.response_bodies.problem` returns."""
    return json_reply(response_bodies.problem(status, request.path, **parts), status)


def unknown_route() -> Response:
    """Return 404 without an error code, the gateway's response to an unknown path."""
    return json_reply({"status": 404, "title": "Not Found"}, 404)


def edge_block() -> Response:
    """Return the 403 of the edge in front of the API: text instead of JSON, whatever the key is."""
    return text_reply("error code: 1010", 403)


def text_reply(text: str, status: int = 200) -> Response:
    """Return a text response (``text/html``) where the client expects JSON or a file."""
    headers = {"Content-Type": "text/html; charset=UTF-8", "Traceparent": _traceparent()}
    return Response(body=text.encode(), status=status, headers=headers)


def burst_reply(request: BaseRequest, burst: Burst) -> Response:
    """Return the error response that a ``status`` burst describes."""
    headers = {} if burst.retry_after is None else {"Retry-After": burst.retry_after}
    if burst.html:
        reply = text_reply(_PAGE.format(burst.title or burst.status), burst.status)
        reply.headers.update(headers)
        return reply
    body = response_bodies.problem(
        burst.status, request.path, title=burst.title, detail=burst.detail, code=burst.code
    )
    missing = burst.bytes - len(json.dumps(body))
    body["detail"] += "x" * missing
    return json_reply(body, burst.status, headers)


def redirect_reply(request: BaseRequest, burst: Burst) -> Response:
    """Return a 307 to the burst's ``location``, or to the address of the request if it is None."""
    location = burst.location or str(request.url)
    return Response(status=307, headers={"Location": location, "Traceparent": _traceparent()})


def compress(request: BaseRequest, reply: StreamResponse, when: str) -> None:
    """Compress ``reply`` with gzip, unless it is already being sent.

    :param when: ``always``, or ``accepted``: only for a client that accepts gzip.
    """
    accepts = "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, "")
    if not reply.prepared and (when == "always" or accepts):
        reply.enable_compression(ContentCoding.gzip)


def cut(request: BaseRequest) -> Response:
    """Cut the connection and return a response that the server cannot send."""
    if request.transport is not None:
        request.transport.abort()
    return Response()


def _traceparent() -> str:
    digits = os.urandom(24).hex()
    return f"00-{digits[:32]}-{digits[32:]}-01"
