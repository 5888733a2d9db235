"""The cards of an album: one per prompt, with its pictures or the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gallery.album import FAILED, WAITING, WORDS, Album
from mulequeue.contrib.progress import generation_json, missing
from mulequeue.contrib.timeline_svg import timeline_svg
from mulequeue.ledger import Ledger, Record
from mulequeue.ledger.timeline import phases_of
from mulequeue.tasks.retry import Standing, standing_of

PAGE = 60
_SHORT = 110
_NOT_STORED = "It was generated, but its file could not be stored. The worker's log has the reason."
_NOT_BEGUN = "Nothing was sent."
_ACTIVE = ("queued", "waiting", "submitting", "generating", "storing")
_AT_ONCE = (Standing.UNPAID, Standing.CANCELLED)
_ASKS = (Standing.FAILED, Standing.UNKNOWN)


@dataclass(frozen=True)
class Member:
    """One attempt at a prompt, and what the ledger has of it."""

    index: int
    """The place in the album."""
    attempt: int
    task_id: str
    state: str
    """One of ``WORDS``."""
    record: Record | None

    @property
    def standing(self) -> Standing | None:
        """Return whether it can be tried again once its outcome is returned; None: it has not begun."""
        if self.record is None or self.record.state == "tombstone":
            return None
        is_returning = self.is_returning
        return standing_of(replace(self.record, state="delivered") if is_returning else self.record)

    @property
    def is_returning(self) -> bool:
        """Return whether a worker still returns its outcome, which takes a moment."""
        has_outcome = self.record is not None and self.record.status is not None
        return has_outcome and self.record is not None and self.record.state != "delivered"

    @property
    def retry(self) -> str:
        """Return ``at once``, ``asks`` because it may be charged again, or an empty text."""
        if self.state not in FAILED or self.state == "not_stored" or self.standing is None:
            return ""
        return "at once" if self.standing in _AT_ONCE else "asks" if self.standing in _ASKS else ""


def members(
    ledger: Ledger,
    album: Album,
    places: Sequence[int],
    *,
    is_over: bool,
    attempt: int | None = None,
) -> list[Member]:
    """Return an attempt at each of these prompts.

    :param is_over: whether the album is, so that a missing file is not stored any more.
    :param attempt: None: the newest one.
    """
    ids = [album.task_id(index, attempt) for index in places]
    records = ledger.queries.records(ids)
    batch = ledger.queries.batch(album.album_id) if None in records else None
    is_stopped = batch is not None and batch.is_cancelled

    def member(index: int, task_id: str, record: Record | None) -> Member:
        number = album.attempts.get(index, 0) if attempt is None else attempt
        if record is not None:
            state = _state(record, is_over)
        elif number:
            state = "cancelled" if missing(ledger, task_id).state == "cancelled" else "queued"
        else:
            state = "cancelled" if is_stopped else "queued"
        return Member(index, number, task_id, state, record)

    return [member(*each) for each in zip(places, ids, records, strict=True)]


def _state(record: Record, is_over: bool) -> str:
    if record.state == "tombstone":
        return "cancelled"
    if record.status == "succeeded" and not record.files:
        return "not_stored" if is_over or record.file_error else "storing"
    return record.status or {"settled": "storing"}.get(record.state, record.state)


def failed_places(found: Sequence[Member]) -> list[int]:
    """Return the places of the prompts that did not succeed."""
    return [member.index for member in found if member.state in FAILED]


def card(
    member: Member, prompt: str, file_url: Callable[[str, int], str], again_url: str = ""
) -> dict[str, Any]:
    """Return what the template shows of an attempt.

    :param file_url: returns the URL of a file, from task id and number.
    :param again_url: the page that generates it again; empty: it has no buttons.
    """
    record, state = member.record, member.state
    seen = generation_json(record, file_url) if record else {"files": [], "error": None}
    reasons = {"not_stored": _NOT_STORED, "cancelled": _NOT_BEGUN}
    is_active = state in _ACTIVE
    return {
        **_prompt_fields(member.index, prompt),
        "index": member.index,
        "attempt": member.attempt + 1,
        "is_again": member.attempt > 0,
        "state": state,
        "word": WORDS[state],
        "is_active": is_active,
        "reason": _sentence(seen["error"] or reasons.get(state, "")),
        "files": seen["files"],
        "timeline": "" if record is None or is_active else _timeline(record),
        "version": f"{member.task_id}/{state}/{record.retries if record else 0}",
        "retry": "" if not again_url else member.retry,
        "can_cancel": bool(again_url) and state in WAITING,
        "again_url": "" if is_active else again_url,
    }


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _timeline(record: Record) -> str:
    """Return where the time of a generation went, as a drawing; it escapes what it draws."""
    return timeline_svg(phases_of(record, record.finished or record.created))


def _prompt_fields(index: int, prompt: str) -> dict[str, Any]:
    is_long = len(prompt) > _SHORT
    short = f"{prompt[:_SHORT].rstrip()} …" if is_long else prompt
    return {"number": index + 1, "prompt": prompt, "short": short, "is_long": is_long}


def paging(places: Sequence[int], number: int) -> dict[str, Any]:
    """Return a page of these prompts: ``{number, count, places, previous, next}``."""
    count = max(1, -(-len(places) // PAGE))
    number = min(max(1, number), count)
    return {
        "number": number,
        "count": count,
        "places": list(places[(number - 1) * PAGE : number * PAGE]),
        "previous": number - 1 if number > 1 else None,
        "next": number + 1 if number < count else None,
    }
