"""Generations for web pages of any framework: JSON, server-sent events, files.

Nothing in the JSON reveals the storage location of a file.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import IO, Any

from fsspec.core import split_protocol, url_to_fs
from redis.exceptions import RedisError

from mulequeue.ledger import Batch, Ledger, Record, outcome_of
from mulequeue.outcome import File
from mulequeue.settings import Settings

STREAM_SECONDS = 60.0
"""Maximum duration of a stream, which holds a thread of the web server. The browser then reconnects."""
REFRESH_SECONDS = 0.5
_KEEP_ALIVE_SECONDS = 10.0
_RECONNECT_MS = 1000
_STATES = {"tombstone": "cancelled"}


def batch_json(ledger: Ledger, batch_id: str) -> dict[str, Any]:
    """Return the progress of a batch as JSON, from one Redis command.

    :returns: ``{batch_id, size, done, files, counts, is_over, is_cancelled}``. ``done`` is the number
        of members that will not change any more. ``size`` is None until a worker has received one.
    """
    batch = ledger.queries.batch(batch_id)
    if batch is None:
        empty: dict[str, Any] = {"size": None, "done": 0, "files": 0, "counts": {}}
        return {"batch_id": batch_id, **empty, "is_over": False, "is_cancelled": False}
    done = members_done(batch)
    return {
        "batch_id": batch_id,
        "size": batch.size,
        "done": done,
        "files": batch.files,
        "counts": dict(batch.counts),
        "is_over": done >= batch.size,
        "is_cancelled": batch.is_cancelled,
    }


def members_done(batch: Batch) -> int:
    """Count the members that are finished and whose files are stored or failed for good."""
    succeeded = batch.counts.get("succeeded", 0)
    return batch.over - succeeded + min(batch.downloaded, succeeded)


def generation_json(record: Record, file_url: Callable[[str, int], str]) -> dict[str, Any]:
    """Return a generation as JSON.

    :param file_url: returns the URL at which the application serves a file, from the task id and the
        file's number.
    :returns: ``{task_id, state, is_over, model, kind, label, error, files: [{url, kind, media_type,
        bytes}]}``. ``state`` is the outcome's status as soon as there is an outcome; ``error`` is a
        sentence.
    """
    files = [
        {
            "url": file_url(record.task_id, number),
            "kind": file.kind,
            "media_type": file.media_type,
            "bytes": file.bytes,
        }
        for number, file in enumerate(record.files)
    ]
    return {
        "task_id": record.task_id,
        "state": record.status or _STATES.get(record.state, record.state),
        "is_over": record.is_over or record.state in _STATES,
        "model": record.model,
        "kind": record.kind,
        "label": record.label,
        "error": reason_of(record),
        "files": files,
    }


def reason_of(record: Record) -> str | None:
    """Return the reason of a failure as a sentence, or None if there is no failure."""
    error = outcome_of(record).error if record.is_over else None
    if error is None:
        return None
    text = error.detail or error.title or error.type
    return f"{text} ({error.code})" if error.code is not None else text


def events(
    read: Callable[[], Mapping[str, Any]],
    *,
    seconds: float = STREAM_SECONDS,
    every: float = REFRESH_SECONDS,
) -> Iterator[str]:
    """Yield a ``text/event-stream``: ``progress`` after each change, ``end`` as the last event.

    The stream ends when the progress is complete or after ``seconds``; in the second case the browser
    reconnects. ``away`` reports that the ledger's Redis does not answer; ``progress`` follows when it
    answers again. A comment line after
    ten seconds without an event lets the server detect a closed connection.

    :param read: returns the progress, a JSON object with ``is_over``.
    :param every: seconds between two calls of ``read``.
    """
    for text in _stream(read, seconds, every):
        if text is None:
            time.sleep(every)
        else:
            yield text


async def events_async(
    read: Callable[[], Mapping[str, Any]],
    *,
    seconds: float = STREAM_SECONDS,
    every: float = REFRESH_SECONDS,
) -> AsyncIterator[str]:
    """Yield the same as :func:`events` for an ASGI server, without holding a thread between calls."""
    stream = _stream(read, seconds, every)
    while True:
        text = await asyncio.to_thread(next, stream, _END)
        if text is _END:
            return
        if text is None:
            await asyncio.sleep(every)
        else:
            yield str(text)


_END = object()


def _stream(
    read: Callable[[], Mapping[str, Any]], seconds: float, every: float
) -> Iterator[str | None]:
    """Yield the texts of a stream, and None each time the caller has to wait."""
    ends = time.monotonic() + seconds
    sent: Mapping[str, Any] | None = {}
    sent_at = time.monotonic()
    yield f"retry: {_RECONNECT_MS}\n\n"
    while True:
        current = _read_or_none(read)
        if current != sent:
            sent, sent_at = current, time.monotonic()
            yield event("away" if current is None else "progress", current or {})
        if current is not None and current["is_over"]:
            yield event("end", current)
            return
        if time.monotonic() + every >= ends:
            return
        if time.monotonic() - sent_at >= _KEEP_ALIVE_SECONDS:
            sent_at = time.monotonic()
            yield ": keep-alive\n\n"
        yield None


def _read_or_none(read: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any] | None:
    try:
        return read()
    except RedisError:  # the stream continues when Redis answers again
        return None


def event(name: str, data: Mapping[str, Any]) -> str:
    """Return one server-sent event."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


def open_file(file: File, settings: Settings) -> IO[bytes]:
    """Open a stored file for reading. It can seek; the caller closes it.

    :raises OSError: the storage no longer has the file.
    """
    is_configured = split_protocol(file.url)[0] == (split_protocol(settings.storage)[0] or "file")
    fs, path = url_to_fs(file.url, **(settings.storage_options if is_configured else {}))
    opened: IO[bytes] = fs.open(path, "rb")
    return opened


FILE_HEADERS = {
    # Browsers show generated files but do not execute them.
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "Cache-Control": "private, max-age=3600",
}
EVENT_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}  # nginx buffers otherwise
