"""Describe generations to web pages of any framework: as JSON and as server-sent events.

The JSON does not contain the storage location of a file.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

from redis.exceptions import RedisError

from mulequeue.contrib import enqueued as _enqueued  # noqa: F401  (connects a signal)
from mulequeue.ledger import Ledger, Record, outcome_of
from mulequeue.ledger.timeline import timeline_json
from mulequeue.tasks.batch_ids import split_member_id

_UNKNOWN = "There is no such generation, or its record has expired."
STREAM_SECONDS = 60.0
"""Maximum duration of a stream: it holds a thread of a WSGI server. Afterwards the browser reconnects."""
REFRESH_SECONDS = 0.5
UNKNOWN_SECONDS = 10.0
"""Seconds until a stream of an unknown batch ends: a process that records no ids may have enqueued the batch."""
_KEEP_ALIVE_SECONDS = 10.0
_RECONNECT_MS = 1000


def batch_json(ledger: Ledger, batch_id: str) -> dict[str, Any]:
    """Return the progress of a batch as JSON. One Redis command reads a batch of which no member waits.

    :returns: ``{batch_id, state, size, done, files, counts, is_over, is_cancelled, waits_for}``.
        ``state`` is ``queued`` (enqueued, and no worker has received a member; ``size`` is None), ``active``,
        ``over`` or ``unknown`` (expired, or no process has recorded that it enqueued the batch). ``done`` is the
        number of members that will not change any more. ``waits_for`` lists the reasons of all pauses of
        submissions (an empty balance, a rejected key) while members wait; else it is empty.
    """
    batch = ledger.queries.batch(batch_id)
    if batch is None:
        state = "queued" if ledger.enqueued.has(batch_id) else "unknown"
    else:
        state = "over" if batch.done >= batch.size else "active"
    return {
        "batch_id": batch_id,
        "state": state,
        "size": batch.size if batch else None,
        "done": batch.done if batch else 0,
        "files": batch.files if batch else 0,
        "counts": dict(batch.counts) if batch else {},
        "is_over": state in ("over", "unknown"),
        "is_cancelled": bool(batch and batch.is_cancelled),
        "waits_for": ledger.limits.all_reasons() if batch and batch.counts.get("waiting") else [],
    }


def missing(ledger: Ledger, task_id: str) -> Record:
    """Return a Record with the state of a generation that has no record, and with its batch if that is known.

    The state is ``cancelled`` if the batch was cancelled, ``queued`` if the generation is enqueued and no worker
    has received it, or ``unknown``: it has expired, or no process has recorded that it enqueued the generation.
    """
    batch_id, index = split_member_id(task_id) or (None, 0)
    batch = ledger.queries.batch(batch_id) if batch_id else None
    if batch is not None and batch.is_cancelled:
        return Record(task_id=task_id, batch=batch_id, state="cancelled")
    if batch is not None:
        is_queued = index < batch.size and batch.begun < batch.size
    elif batch_id and ledger.enqueued.has(batch_id):
        is_queued = True
    else:
        batch_id, is_queued = None, ledger.enqueued.has(task_id)
    return Record(task_id=task_id, batch=batch_id, state="queued" if is_queued else "unknown")


def generation_json(record: Record, file_url: Callable[[str, int], str]) -> dict[str, Any]:
    """Return a generation as JSON.

    :param record: of the ledger, or from :func:`missing`.
    :param file_url: returns the URL at which the application serves a file. It receives the task id and the
        number of the file, from 0.
    :returns: ``{task_id, state, is_over, model, kind, label, error, metadata, files: [{url, kind,
        media_type, bytes}], timeline: [{step, at, seconds, detail}]}``. ``state`` is the outcome's status
        as soon as there is an outcome; ``error`` is a sentence.
    """
    state = record.status or ("cancelled" if record.state == "tombstone" else record.state)
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
        "state": state,
        "is_over": record.is_over or state in ("cancelled", "unknown"),
        "model": record.model,
        "kind": record.kind,
        "label": record.label,
        "error": _UNKNOWN if state == "unknown" else reason_of(record),
        "metadata": dict(record.metadata),
        "files": files,
        "timeline": timeline_json(record),
    }


def reason_of(record: Record) -> str | None:
    """Return the reason why a generation did not succeed as a sentence, or None if there is no reason."""
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
    """Yield a ``text/event-stream``: an event ``progress`` first and after each change, ``end`` as the last event.

    After ``end`` the stream is complete. Without an end it stops after ``seconds``, and the browser reconnects.
    The event ``away`` reports that the ledger's Redis does not answer; ``progress`` follows when Redis answers
    again. A comment line after ten seconds without an event lets the server detect a closed connection.

    :param read: returns the progress, a JSON object with ``is_over``.
    :param seconds: maximum duration of the stream.
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
    """Yield the texts of a stream, and None each time the caller has to wait for ``every`` seconds."""
    ends, unknown_ends = time.monotonic() + seconds, time.monotonic() + UNKNOWN_SECONDS
    current: Mapping[str, Any] | None
    sent: Mapping[str, Any] | None = {}
    sent_at = time.monotonic()
    yield f"retry: {_RECONNECT_MS}\n\n"
    while True:
        try:
            current = read()
        except RedisError:  # the stream continues when Redis answers again
            current = None
        if current != sent:
            sent, sent_at = current, time.monotonic()
            yield event("away" if current is None else "progress", current or {})
        may_begin = (
            current and current.get("state") == "unknown" and time.monotonic() < unknown_ends
        )
        if current is not None and current["is_over"] and not may_begin:
            yield event("end", current)
            return
        if time.monotonic() + every >= ends:
            return
        if time.monotonic() - sent_at >= _KEEP_ALIVE_SECONDS:
            sent_at = time.monotonic()
            yield ": keep-alive\n\n"
        yield None


def event(name: str, data: Mapping[str, Any]) -> str:
    """Return one server-sent event."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


EVENT_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}  # nginx buffers otherwise
