"""Responses for stored files, zip archives and event streams."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse

from mulequeue.contrib.files import file_part, open_file
from mulequeue.contrib.progress import EVENT_HEADERS, events, events_async
from mulequeue.contrib.zip_stream import Entry, zip_blocks, zip_headers
from mulequeue.outcome import File
from mulequeue.settings import Settings


def file_response(request: HttpRequest, file: File, settings: Settings) -> HttpResponse:
    """Return a response with a stored file, or with the part that the request's Range header names.

    :raises Http404: the storage no longer has the file.
    """
    try:
        part = file_part(file, settings, request.headers.get("Range", ""))
    except OSError:
        raise Http404 from None
    blocks = _for_server(request, part.blocks)
    return StreamingHttpResponse(blocks, status=part.status, headers=part.headers)


def zip_response(
    request: HttpRequest, entries: Iterable[Entry], settings: Settings, *, name: str
) -> StreamingHttpResponse:
    """Return a response with a zip archive of this file name, see :func:`mulequeue.contrib.zip_stream.zip_blocks`."""
    blocks = _for_server(request, zip_blocks(entries, partial(open_file, settings=settings)))
    return StreamingHttpResponse(blocks, content_type="application/zip", headers=zip_headers(name))


def event_stream(
    request: HttpRequest, read: Callable[[], Mapping[str, Any]]
) -> StreamingHttpResponse:
    """Return a response that streams progress, see :func:`mulequeue.contrib.progress.events`.

    Under ASGI an open stream holds no thread. A WSGI server needs one thread per open stream.
    """
    # ASGI needs an asynchronous iterator, WSGI a synchronous one: Django collects the other kind before it sends.
    stream = events_async(read) if isinstance(request, ASGIRequest) else events(read)
    return StreamingHttpResponse(stream, content_type="text/event-stream", headers=EVENT_HEADERS)


def _for_server(request: HttpRequest, blocks: Iterator[bytes]) -> Any:
    """Return an iterator of the kind (asynchronous for ASGI) that Django sends block by block."""
    return _in_threads(blocks) if isinstance(request, ASGIRequest) else blocks


async def _in_threads(blocks: Iterator[bytes]) -> AsyncIterator[bytes]:
    # It reads in the thread of the request's synchronous code, to which the database connection belongs.
    read = sync_to_async(lambda: next(blocks, b""))
    while block := await read():
        yield block
