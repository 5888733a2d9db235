"""mulequeue in a FastAPI app::

    app = FastAPI()
    app.include_router(make_router(celery, may_see=may_see), prefix="/mulequeue")

    def may_see(request, name):         # a batch id, or the task id of a generation without one
        return name in request.session.get("started", [])

=======================  ==========================================================
``/generations/<id>``    a generation as JSON, with the URLs of its files
``/files/<id>/<n>``      its n-th file, read from the storage
``/batches/<id>``        the progress of a batch as JSON
``/batches/<id>/events`` the same as server-sent events, until the batch is finished
``/batches/<id>/zip``    its stored files as one zip archive
``/webhook``             receives MuleRouter's webhooks
=======================  ==========================================================

A request that is not permitted gets 404, and so does an unknown id. Without ``may_see``, no request is permitted.
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
from mulequeue.contrib.zip_entries import batch_entries
from mulequeue.contrib.zip_stream import Entry, zip_blocks, zip_headers
from mulequeue.engine import webhook_handler
from mulequeue.engine.worker_context import worker_context
from mulequeue.ledger import Record
from mulequeue.settings import Settings

MaySee = Callable[[Request, str], bool]


def make_router(celery: Celery, *, may_see: MaySee | None = None) -> APIRouter:
    """Return a router with a generation, its files, batches, their events and the webhook.

    Its endpoints run in the thread pool of the server; an open stream holds no thread.

    :param celery: the Celery app that sends the generations.
    :param may_see: decides in a thread whether a request may see a batch id, or the task id of a
        generation without a batch. None: no request may. It may raise ``HTTPException``.
    """
    routes = _Routes(celery, may_see or _deny)
    router = APIRouter(tags=["mulequeue"])
    router.add_api_route("/generations/{task_id:path}", routes.generation)
    router.add_api_route("/files/{task_id:path}/{number:int}", routes.file, name="mulequeue_file")
    router.add_api_route("/batches/{batch_id:path}/events", routes.events)
    router.add_api_route("/batches/{batch_id:path}/zip", routes.zip)
    router.add_api_route("/batches/{batch_id:path}", routes.batch)
    router.add_api_route("/webhook", routes.webhook, methods=["POST"], include_in_schema=False)
    return router


def event_stream(read: Callable[[], dict[str, Any]]) -> StreamingResponse:
    """Make the response that streams the progress, see :func:`mulequeue.contrib.progress.events`.

    :param read: returns the progress, a JSON object with ``is_over``; it is called in a thread.
    """
    stream = progress.events_async(read)
    return StreamingResponse(stream, media_type="text/event-stream", headers=progress.EVENT_HEADERS)


def zip_response(entries: Iterable[Entry], settings: Settings, *, name: str) -> StreamingResponse:
    """Make the response that downloads files as one zip archive, made while it is sent.

    :param entries: for a batch ``mulequeue.contrib.zip_entries.batch_entries(ledger, batch_id)``.
    :param name: the file name of the archive.
    """
    blocks = zip_blocks(entries, partial(open_file, settings=settings))
    return StreamingResponse(blocks, media_type="application/zip", headers=zip_headers(name))


def _deny(request: Request, name: str) -> bool:
    return False


class _Routes:
    """The endpoints."""

    def __init__(self, celery: Celery, may_see: MaySee) -> None:
        self._celery, self._may_see = celery, may_see

    @property
    def _ledger(self) -> Any:
        return worker_context(self._celery).ledger

    def generation(self, request: Request, task_id: str) -> JSONResponse:
        """Return a generation; ``state`` is ``queued`` until a worker has received it."""

        def file_url(task_id: str, number: int) -> str:
            quoted = quote(task_id, safe="")
            return request.url_for("mulequeue_file", task_id=quoted, number=number).path

        found = self._find(request, task_id)
        if isinstance(found, progress.Missing):
            return _json(found.to_json())
        return _json(progress.generation_json(found, file_url))

    def file(self, request: Request, task_id: str, number: int) -> Response:
        """Return a file, read from the storage. Range requests are answered, which videos need."""
        found = self._find(request, task_id)
        if isinstance(found, progress.Missing) or number >= len(found.files):
            raise HTTPException(404)
        settings = worker_context(self._celery).settings
        try:
            part = file_part(found.files[number], settings, request.headers.get("Range", ""))
        except OSError:
            raise HTTPException(404) from None
        return StreamingResponse(part.blocks, status_code=part.status, headers=part.headers)

    def batch(self, request: Request, batch_id: str) -> JSONResponse:
        """Return the progress of a batch."""
        return _json(self._batch(request, batch_id))

    def events(self, request: Request, batch_id: str) -> Response:
        """Stream the progress of a batch."""
        found = self._batch(request, batch_id)
        if found["state"] == "unknown":
            return _json(found)
        ledger = self._ledger
        return event_stream(lambda: progress.batch_json(ledger, batch_id))

    def zip(self, request: Request, batch_id: str) -> Response:
        """Return the stored files of a batch as a zip archive, with a list of what is missing."""
        self._check(request, batch_id)
        ctx = worker_context(self._celery)
        if ctx.ledger.queries.batch(batch_id) is None:
            raise HTTPException(404)
        entries = batch_entries(ctx.ledger, batch_id)
        return zip_response(entries, ctx.settings, name=f"{batch_id}.zip")

    async def webhook(self, request: Request) -> PlainTextResponse:
        """Receive a signed event. A request without a valid signature changes nothing."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > webhook_handler.MAX_BODY_BYTES:
                break
        reply = await run_in_threadpool(
            webhook_handler.handle, request.headers, bytes(body), app=self._celery
        )
        return PlainTextResponse(reply.text, reply.status_code)

    def _batch(self, request: Request, batch_id: str) -> dict[str, Any]:
        self._check(request, batch_id)
        return progress.batch_json(self._ledger, batch_id)

    def _find(self, request: Request, task_id: str) -> Record | progress.Missing:
        """Return the record of a generation.

        :raises HTTPException: the request may not see it.
        """
        record: Record | None = self._ledger.queries.record(task_id)
        found = progress.missing(self._ledger, task_id) if record is None else record
        self._check(request, found.batch or task_id)
        return found

    def _check(self, request: Request, name: str) -> None:
        if not self._may_see(request, name):
            raise HTTPException(404)


def _json(content: dict[str, Any]) -> JSONResponse:
    return JSONResponse(content, 404 if content["state"] == "unknown" else 200)
