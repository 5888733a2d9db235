"""mulequeue in a FastAPI app::

    app = FastAPI()
    app.include_router(make_router(celery, may_see=may_see), prefix="/mulequeue")

    def may_see(request, name):         # a batch id, or the task id of a generation without one
        return name in request.session.get("started", [])

The routes are those of :mod:`mulequeue.contrib.routes`. Without ``may_see``, no request is permitted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any
from urllib.parse import quote

from celery import Celery
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse

from mulequeue.contrib import progress
from mulequeue.contrib.files import file_part, open_file
from mulequeue.contrib.routes import Routes
from mulequeue.contrib.zip_stream import Entry, zip_blocks, zip_headers
from mulequeue.engine import webhook_handler
from mulequeue.engine.worker_context import worker_context
from mulequeue.settings import Settings

MaySee = Callable[[Request, str], bool]


def make_router(celery: Celery, *, may_see: MaySee | None = None) -> APIRouter:
    """Return a router with the routes of :mod:`mulequeue.contrib.routes`.

    Its endpoints run in the thread pool of the server. An open event stream holds no thread between two reads.

    :param celery: the Celery app that sends the generations.
    :param may_see: called in a thread with a request and a batch id, or the task id of a generation without a
        batch; returns whether the request is permitted, or raises ``HTTPException``. None: no request is.
    """
    endpoints = _Endpoints(celery, may_see or (lambda request, name: False))
    router = APIRouter(tags=["mulequeue"])
    router.add_api_route("/generations/{task_id:path}", endpoints.generation)
    router.add_api_route(
        "/files/{task_id:path}/{number:int}", endpoints.file, name="mulequeue_file"
    )
    router.add_api_route("/batches/{batch_id:path}/events", endpoints.events)
    router.add_api_route("/batches/{batch_id:path}/zip", endpoints.zip)
    router.add_api_route("/batches/{batch_id:path}", endpoints.batch)
    router.add_api_route("/webhook", endpoints.webhook, methods=["POST"], include_in_schema=False)
    return router


def event_stream(read: Callable[[], dict[str, Any]]) -> StreamingResponse:
    """Return a response that streams progress, see :func:`mulequeue.contrib.progress.events`.

    :param read: returns the progress; called in a thread.
    """
    stream = progress.events_async(read)
    return StreamingResponse(stream, media_type="text/event-stream", headers=progress.EVENT_HEADERS)


def zip_response(entries: Iterable[Entry], settings: Settings, *, name: str) -> StreamingResponse:
    """Return a response with a zip archive of this file name, see :func:`mulequeue.contrib.zip_stream.zip_blocks`."""
    blocks = zip_blocks(entries, partial(open_file, settings=settings))
    return StreamingResponse(blocks, media_type="application/zip", headers=zip_headers(name))


class _Endpoints:
    def __init__(self, celery: Celery, may_see: MaySee) -> None:
        self._celery, self._may_see = celery, may_see

    def generation(self, request: Request, task_id: str) -> JSONResponse:
        """Return a generation; ``state`` is ``queued`` until a worker has received it."""

        def file_url(task_id: str, number: int) -> str:
            quoted = quote(task_id, safe="")
            return request.url_for("mulequeue_file", task_id=quoted, number=number).path

        return JSONResponse(*self._routes(request).generation(task_id, file_url))

    def file(self, request: Request, task_id: str, number: int) -> Response:
        """Return a file from the storage. Range requests are supported, because videos need them."""
        routes = self._routes(request)
        file, part = routes.file(task_id, number), request.headers.get("Range", "")
        try:
            found = file_part(file, routes.ctx.settings, part)
        except OSError:
            raise HTTPException(404) from None
        return StreamingResponse(found.blocks, found.status, found.headers)

    def batch(self, request: Request, batch_id: str) -> JSONResponse:
        """Return the progress of a batch."""
        return JSONResponse(*self._routes(request).batch(batch_id))

    def events(self, request: Request, batch_id: str) -> Response:
        """Stream the progress of a batch."""
        routes = self._routes(request)
        found, status = routes.batch(batch_id)
        if status != 200:
            return JSONResponse(found, status)
        return event_stream(partial(progress.batch_json, routes.ctx.ledger, batch_id))

    def zip(self, request: Request, batch_id: str) -> Response:
        """Return the stored files of a batch as a zip archive, with a list of the missing ones."""
        routes = self._routes(request)
        entries = routes.entries(batch_id)
        return zip_response(entries, routes.ctx.settings, name=f"{batch_id}.zip")

    async def webhook(self, request: Request) -> PlainTextResponse:
        """Receive a webhook of MuleRouter. A request without a valid signature changes nothing."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > webhook_handler.MAX_BODY_BYTES:
                break
        reply = await run_in_threadpool(
            webhook_handler.handle, request.headers, bytes(body), app=self._celery
        )
        return PlainTextResponse(reply.text, reply.status_code)

    def _routes(self, request: Request) -> Routes:
        def check(name: str) -> None:
            if not self._may_see(request, name):
                raise HTTPException(404)

        return Routes(worker_context(self._celery), check, HTTPException(404))
