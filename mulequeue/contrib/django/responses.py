"""Responses for stored files and event streams.

A stored file, with range requests for videos::

    record = worker_context().ledger.queries.record(task_id)
    return file_response(request, record.files[0], worker_context().settings)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any

from django.core.handlers.asgi import ASGIRequest
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse

from mulequeue.contrib.progress import (
    EVENT_HEADERS,
    FILE_HEADERS,
    events,
    events_async,
    open_file,
)
from mulequeue.outcome import File
from mulequeue.settings import Settings

_BLOCK_BYTES = 64 * 1024


def file_response(request: HttpRequest, file: File, settings: Settings) -> HttpResponse:
    """Return the whole file, or the range that the request's Range header names.

    :raises Http404: the storage no longer has the file.
    """
    part = byte_range(request.headers.get("Range", ""), file.bytes)
    headers = {**FILE_HEADERS, "Content-Type": file.media_type, "Accept-Ranges": "bytes"}
    if part is not None and not part:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{file.bytes}"})
    try:
        opened = open_file(file, settings)
    except OSError:
        raise Http404 from None
    wanted = range(file.bytes) if part is None else part
    headers["Content-Length"] = str(len(wanted))
    if part is not None:
        headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{file.bytes}"
    status = 200 if part is None else 206
    return StreamingHttpResponse(_blocks(opened, wanted), status=status, headers=headers)


def event_stream(
    request: HttpRequest, read: Callable[[], Mapping[str, Any]]
) -> StreamingHttpResponse:
    """Make the response that streams the progress, see :func:`mulequeue.contrib.progress.events`.

    Under ASGI it holds no thread; a WSGI server needs one thread per open page.

    :param read: returns the progress, a JSON object with ``is_over``.
    """
    # Django buffers an iterator of the other kind and sends it only when it is complete.
    stream = events_async(read) if isinstance(request, ASGIRequest) else events(read)
    return StreamingHttpResponse(stream, content_type="text/event-stream", headers=EVENT_HEADERS)


def byte_range(header: str, size: int) -> range | None:
    """Return the range of ``Range: bytes=first-last``.

    An empty range cannot be satisfied. None: the header is absent or has another form.
    """
    match = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", header.strip())
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    if not first:
        return range(max(0, size - int(last)), size)
    return range(int(first), min(size, int(last) + 1 if last else size))


def _blocks(opened: IO[bytes], wanted: range) -> Iterator[bytes]:
    with opened:
        opened.seek(wanted.start)
        left = len(wanted)
        while left and (block := opened.read(min(left, _BLOCK_BYTES))):
            left -= len(block)
            yield block
