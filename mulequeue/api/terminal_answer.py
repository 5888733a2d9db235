"""Convert a terminal response of the API into the dictionary that the ledger stores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from mulequeue.api.parsing import TaskReply
from mulequeue.catalog import Model
from mulequeue.outcome import ErrorInfo


def answer_of(reply: TaskReply, model: Model, *, now: float) -> dict[str, Any]:
    """Return a terminal response as a JSON-compatible dictionary, without empty fields.

    :param now: unix seconds, from which the retention of the assets is counted.
    """
    until = datetime.fromtimestamp(now, UTC) + timedelta(seconds=model.retention_seconds)
    expires_at = until.isoformat(timespec="seconds").replace("+00:00", "Z")
    media = reply.kind or model.kind
    answer: dict[str, Any] = {
        "kind": media,
        "created_at": reply.created_at,
        "updated_at": reply.updated_at,
        "extra": reply.extra,
    }
    if reply.state == "succeeded":
        answer["assets"] = [
            {"url": url, "kind": media, "expires_at": expires_at} for url in reply.urls
        ]
    elif reply.error is not None:
        answer["error"] = error_of(reply.error)
    return {key: value for key, value in answer.items() if value}


def reported_duration(answer: Mapping[str, Any]) -> float | None:
    """Return the seconds from ``created_at`` to ``updated_at`` in the result of :func:`answer_of`.

    The API writes ISO-8601 with ``Z`` or an offset, with and without microseconds. Return None if
    one of the times is missing or unreadable, or if they are equal.
    """
    try:
        created, updated = (
            datetime.fromisoformat(answer[name]) for name in ("created_at", "updated_at")
        )
        seconds = (updated - created).total_seconds()
    except (KeyError, TypeError, ValueError):
        return None
    return seconds if seconds > 0 else None


def error_of(error: ErrorInfo) -> dict[str, Any]:
    """Return an error as a JSON-compatible dictionary, without fields that are None."""
    return {key: value for key, value in asdict(error).items() if value is not None}
