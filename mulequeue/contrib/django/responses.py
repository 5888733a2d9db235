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
    """Return the whole file, or the range that the request's Range header names.

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
    """Make the response that downloads a zip archive of this name, see :func:`mulequeue.contrib.zip_stream.zip_blocks`."""
    blocks = _for_server(request, zip_blocks(entries, partial(open_file, settings=settings)))
    return StreamingHttpResponse(blocks, content_type="application/zip", headers=zip_headers(name))


def event_stream(
    request: HttpRequest, read: Callable[[], Mapping[str, Any]]
) -> StreamingHttpResponse:
    """Make the response that streams the progress, see :func:`mulequeue.contrib.progress.events`.

    Under ASGI it holds no thread; a WSGI server needs one thread per open page.
    """
    # Django buffers an iterator of the other kind and sends it only when it is complete.
    stream = events_async(read) if isinstance(request, ASGIRequest) else events(read)
    return StreamingHttpResponse(stream, content_type="text/event-stream", headers=EVENT_HEADERS)


def _for_server(request: HttpRequest, blocks: Iterator[bytes]) -> Any:
    """Return the iterator that the server sends block by block; of the other kind it would hold all."""
    return _in_threads(blocks) if isinstance(request, ASGIRequest) else blocks


async def _in_threads(blocks: Iterator[bytes]) -> AsyncIterator[bytes]:
    # In the thread of the request's synchronous code, to which its database connection belongs.
    read = sync_to_async(lambda: next(blocks, b""))
    while block := await read():
        yield block
