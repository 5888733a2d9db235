"""What a web page shows of generations, whatever serves it: JSON, server-sent events, files.

Nothing in here says where a file lies on the server.
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
"""So long one stream of events holds a thread of the web server; the browser then comes again."""
REFRESH_SECONDS = 0.5
_BEAT_SECONDS = 10.0
_COME_AGAIN_MS = 1000
_STATES = {"tombstone": "cancelled"}


def batch_json(ledger: Ledger, batch_id: str) -> dict[str, Any]:
    """Where a batch stands; one Redis command.

    :returns: ``{batch_id, size, done, files, counts, is_over, is_cancelled}``. ``done``: nothing more
        is expected of so many members. ``size`` is None as long as no worker has taken any of them.
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
    """Members that nothing more is expected of: over, and their files stored (or given up)."""
    succeeded = batch.counts.get("succeeded", 0)
    return batch.over - succeeded + min(batch.downloaded, succeeded)


def generation_json(record: Record, file_url: Callable[[str, int], str]) -> dict[str, Any]:
    """A generation as a page wants it.

    :param file_url: gives the URL at which the application serves a file, by the task id and the
        file's number.
    :returns: ``{task_id, state, is_over, model, kind, label, error, files: [{url, kind, media_type,
        bytes}]}``. ``state`` is the outcome's status once there is one; ``error`` is a sentence.
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
    """Why a generation did not succeed, as a sentence; None when it did, or is still under way."""
    error = outcome_of(record).error if record.is_over else None
    if error is None:
        return None
    text = error.detail or error.title or error.type
    return f"{text} ({error.code})" if error.code is not None else text


def events(
    look: Callable[[], Mapping[str, Any]],
    *,
    seconds: float = STREAM_SECONDS,
    every: float = REFRESH_SECONDS,
) -> Iterator[str]:
    """A stream of ``text/event-stream``: ``progress`` whenever something changed, ``end`` at the end.

    It ends when what is looked at is over, or after ``seconds``: then a browser comes again by
    itself. ``away`` says that the ledger's Redis does not answer; ``progress`` follows when it does.
    A line that says nothing is sent now and then, so that the server notices who has left.

    :param look: gives a JSON object with ``is_over``.
    :param every: seconds between two looks.
    """
    for step in _steps(look, seconds, every):
        if step is None:
            time.sleep(every)
        else:
            yield step


async def events_async(
    look: Callable[[], Mapping[str, Any]],
    *,
    seconds: float = STREAM_SECONDS,
    every: float = REFRESH_SECONDS,
) -> AsyncIterator[str]:
    """As :func:`events`, for an ASGI server: between two looks it holds no thread."""
    steps = _steps(look, seconds, every)
    while True:
        step = await asyncio.to_thread(next, steps, _END)
        if step is _END:
            return
        if step is None:
            await asyncio.sleep(every)
        else:
            yield str(step)


_END = object()


def _steps(
    look: Callable[[], Mapping[str, Any]], seconds: float, every: float
) -> Iterator[str | None]:
    """The texts of a stream; None: it is time to wait."""
    ends = time.monotonic() + seconds
    shown: Mapping[str, Any] | None = {}
    quiet_since = time.monotonic()
    yield f"retry: {_COME_AGAIN_MS}\n\n"
    while True:
        now = _looked(look)
        if now != shown:
            shown, quiet_since = now, time.monotonic()
            yield event("away" if now is None else "progress", now or {})
        if now is not None and now["is_over"]:
            yield event("end", now)
            return
        if time.monotonic() + every >= ends:
            return
        if time.monotonic() - quiet_since >= _BEAT_SECONDS:
            quiet_since = time.monotonic()
            yield ": still here\n\n"
        yield None


def _looked(look: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any] | None:
    try:
        return look()
    except RedisError:  # it may come back, and the page with it
        return None


def event(name: str, data: Mapping[str, Any]) -> str:
    """One server-sent event."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


def open_file(file: File, settings: Settings) -> IO[bytes]:
    """A stored file, to be read and closed; it can seek.

    :raises OSError: it is no longer there.
    """
    same = split_protocol(file.url)[0] == (split_protocol(settings.storage)[0] or "file")
    fs, path = url_to_fs(file.url, **(settings.storage_options if same else {}))
    opened: IO[bytes] = fs.open(path, "rb")
    return opened


FILE_HEADERS = {
    # What a model made is shown and never run.
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "Cache-Control": "private, max-age=3600",
}
EVENT_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}  # nginx would collect them
