"""Carry out the buttons of an album: try again, cancel, generate again, download.

A button that may cost money a second time asks first, with the number and the estimated cost.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import mulequeue
from gallery.album import WAITING, Album, cost, progress
from gallery.cards import Member, members
from mulequeue.contrib.zip_entries import generation_entries
from mulequeue.contrib.zip_stream import Entry
from mulequeue.errors import InputError
from mulequeue.ledger import Ledger
from mulequeue.tasks.retry import Standing

_MOST_SHOWN = 10
_MOST_RETURN_SECONDS = 2.0
"""A click may come before a worker has returned the failure that the page shows."""
_UNSENT = ("waiting", "unknown")
_SENT = ("submitting", "generating")
NOTHING = "There is nothing to try again."
STALE = "This prompt was tried again already. Here is the newest attempt."


@dataclass(frozen=True)
class Result:
    """The result of an action, as text for the page."""

    text: str
    asks: bool = False
    """The rest may be charged a second time, so a page asks first."""


def retry(ledger: Ledger, album: Album, index: int | None, confirmed: str) -> Result:
    """Try again what did not succeed: at once if nothing was charged, else if it is confirmed.

    :param index: one prompt; None: all of the album.
    :param confirmed: the token of the page that asked; another one asks again.
    """
    unpaid, paid = _retryable(ledger, album, index)
    texts = []
    try:
        if unpaid:
            is_whole = index is None and not album.attempts  # one name instead of thousands
            done = mulequeue.retry(*([album.album_id] if is_whole else _ids(unpaid)))
            texts.append(f"{_many(len(done.task_ids))} again; nothing had been charged.")
        if paid and confirmed != _token(paid):
            return Result(" ".join(texts), asks=True)
        if paid:
            done = mulequeue.retry(*_ids(paid), failed=True, unknown=True)
            texts.append(f"{_many(len(done.task_ids))} again. Estimated cost: {_price(done.cost)}.")
    except InputError as exc:
        texts.append(str(exc))
    return Result(" ".join(texts) or NOTHING)


def retry_question(
    ledger: Ledger, album: Album, index: int | None, texts: Any
) -> dict[str, Any] | None:
    """Return the context of the page that asks; None: nothing has to be asked.

    :param texts: returns the prompts at some places.
    """
    _, paid = _retryable(ledger, album, index)
    if not paid:
        return None
    plan = mulequeue.retry(*_ids(paid), failed=True, unknown=True, dry_run=True)
    unknown = sum(1 for member in paid if member.standing is Standing.UNKNOWN)
    shown = paid[:_MOST_SHOWN]
    return {
        "index": "" if index is None else index,
        "token": _token(paid),
        "count": len(paid),
        "failed": len(paid) - unknown,
        "unknown": unknown,
        "cost": _price(plan.cost),
        "prompts": texts([member.index for member in shown]),
        "more": len(paid) - len(shown),
    }


def cancel(ledger: Ledger, album: Album, index: int | None) -> Result:
    """Cancel what was not sent. What the API has accepted is charged, so it goes on.

    :param index: one prompt; None: all of the album.
    """
    if index is not None:
        return Result(_cancelled_one(album.task_id(index)))
    counts = progress(ledger, album)["counts"]
    if not any(counts[name] for name in WAITING):
        return Result("Nothing waits any more, so nothing was cancelled.")
    states: list[str] = []
    for batch_id in album.batch_ids():
        states += mulequeue.cancel(batch_id, waiting=True).values()
    unsent = counts["queued"] + counts["waiting"]
    goes_on = sum(1 for state in states if state in _SENT)
    more = f" Sent already, so not cancelled: {goes_on:,}." if goes_on else ""
    return Result(f"{unsent:,} cancelled. Nothing of that was sent or charged.{more}")


def _cancelled_one(task_id: str) -> str:
    (state,) = mulequeue.cancel(task_id, waiting=True).values()
    if state in _UNSENT:
        return "Cancelled. Nothing was sent or charged."
    if state in _SENT:
        return "It was sent already and may be charged, so it goes on. Nothing was cancelled."
    return "It is finished already. Nothing was changed."


def again_question(album: Album, index: int, prompt: str, error: str = "") -> dict[str, Any]:
    """Return the context of the page that asks before one prompt is generated again.

    :param prompt: what its field has.
    :param error: why it is not accepted.
    """
    return {
        "number": index + 1,
        "attempt": album.attempts.get(index, 0) + 1,
        "prompt": prompt,
        "cost": _price(str(cost(album, prompt)).partition(", ")[2]),
        "error": error,
    }


def entries(ledger: Ledger, album: Album) -> Iterator[Entry]:
    """Yield the stored files of the newest attempts, named by place and prompt."""
    named = ((f"{index + 1:04d}", album.task_id(index)) for index in range(album.size))
    return generation_entries(ledger, named)


def _retryable(
    ledger: Ledger, album: Album, index: int | None
) -> tuple[list[Member], list[Member]]:
    """Return what runs again at once, and what may be charged again.

    A cancelled prompt runs again only if it is asked for by itself.
    """
    places = range(album.size) if index is None else [index]
    ends = time.monotonic() + _MOST_RETURN_SECONDS
    while True:
        found = [member for member in members(ledger, album, places, is_over=True) if member.retry]
        if time.monotonic() > ends or not any(member.is_returning for member in found):
            break
        time.sleep(0.1)
    found = [member for member in found if not member.is_returning]
    if index is None:
        found = [member for member in found if member.standing is not Standing.CANCELLED]
    unpaid = [member for member in found if member.retry == "at once"]
    return unpaid, [member for member in found if member.retry == "asks"]


def _ids(found: Sequence[Member]) -> list[str]:
    return [member.task_id for member in found]


def _token(found: Sequence[Member]) -> str:
    """Return the same text for the same attempts, so that a page confirms only what it has shown."""
    parts = (f"{member.task_id}/{member.record and member.record.epoch}" for member in found)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _price(text: str) -> str:
    """Return the text without what only the operator can do."""
    return text.removesuffix(" (set mulequeue_prices)")


def _many(count: int) -> str:
    return f"{count:,} run{'s' if count == 1 else ''}"
