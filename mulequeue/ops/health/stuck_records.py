"""The ledger's records: is anything late, stuck, or waiting for somebody?"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from mulequeue.ledger import Ledger
from mulequeue.ledger.record_summary import RecordSummary, record_summaries
from mulequeue.ledger.records import SCHEMA_VERSION
from mulequeue.ops.health.check_result import (
    Finding,
    error,
    format_count,
    format_list,
    passed,
    setting_name,
    warning,
)
from mulequeue.settings import Settings

LATE_SECONDS = 10.0
"""Any worker's watchdog takes up what is overdue before that."""
MOST = 20_000
"""Records that are looked at: a few seconds."""


def examine_records(app: Any, settings: Settings, ledger: Ledger, command: str) -> list[Finding]:
    """:param command: how a worker of this app is started, without queues."""
    size, head = ledger.queries.overdue()
    now = ledger.queries.now()
    found = [
        polls(size, 0.0 if head is None else now - head, f"{command} -Q {settings.poll_queue}")
    ]
    seen = list(record_summaries(ledger.queries, MOST))
    try:
        known = {profile.fingerprint for profile in settings.known_profiles()}
    except Exception:  # said by the check of the keys
        known = set()
    known.update(settings.former_fingerprints)
    stuck = [
        finding
        for finding in (
            submitting(seen, now),
            unknown_keys(seen, known, setting_name(app, "mulequeue_former_fingerprints")),
            newer(seen),
            retried(seen),
            abandoned(seen, ledger.queries.task_of),
            late_ids(seen, ledger.queries.task_of),
        )
        if finding is not None
    ]
    return [*found, *(stuck or [none_stuck(len(seen))])]


def polls(size: int, late_seconds: float, command: str) -> Finding:
    """:param size: entries that are to be looked at some time.
    :param late_seconds: how long the first of them has been overdue.
    """
    if late_seconds > LATE_SECONDS:
        return error(
            "polls",
            f"The first of {size} due entries is {late_seconds:.0f} s late: nobody polls.",
            f"Start a worker that has a free slot for the poll queue:\n  {command}",
        )
    return passed("polls", f"Nothing is late; {size} to be looked at later.")


def none_stuck(number: int) -> Finding:
    only = " (only those were looked at)" if number >= MOST else ""
    return passed("records", f"None of {format_count(number, 'record')} is stuck{only}.")


def submitting(seen: Iterable[RecordSummary], now: float) -> Finding | None:
    """Their worker died while it submitted, and no sweep has taken them up."""
    late = [
        item.task_id
        for item in seen
        if item.state == "submitting" and item.due is not None and now - item.due > LATE_SECONDS
    ]
    if not late:
        return None
    return error(
        "submitting",
        f"{format_count(len(late), 'generation')} being submitted by a worker that is gone: "
        f"{format_list(late)}. Each may exist and be paid.",
        "Start a worker: the poll loop settles them as submit_unknown. They are never sent again.",
    )


def unknown_keys(
    seen: Iterable[RecordSummary], known: Collection[str], setting: str
) -> Finding | None:
    """No key of this machine fits them: nobody with these settings checks them.

    :param setting: how this project spells ``mulequeue_former_fingerprints``.
    """
    needy = [
        item
        for item in seen
        if item.state in ("waiting", "generating") and item.fingerprint not in known
    ]
    if not needy:
        return None
    names = sorted({item.fingerprint for item in needy})
    return warning(
        "unknown-keys",
        f"{format_count(len(needy), 'generation')} under a key that is not known here "
        f"(fingerprint {format_list(names)}): {format_list([item.task_id for item in needy])}.",
        "If the key was replaced by another one of the same account, set:\n"
        f"  {setting} = {names!r}\n"
        "else start a worker that has that key, or cancel them.",
    )


def newer(seen: Iterable[RecordSummary]) -> Finding | None:
    """Written by a newer mulequeue, which this one leaves alone."""
    found = [item.task_id for item in seen if item.version > SCHEMA_VERSION]
    if not found:
        return None
    return warning(
        "newer-records",
        f"{format_count(len(found), 'record')} of a newer mulequeue: {format_list(found)}.",
        "Upgrade here:\n  pip install --upgrade mulequeue",
    )


def retried(seen: Iterable[RecordSummary]) -> Finding | None:
    """Handed on more than once and not through yet: workers die doing it, or their queue is full."""
    found = [
        item.task_id
        for item in seen
        if item.deliveries > 1 and item.state in ("settled", "delivering") and not item.is_abandoned
    ]
    if not found:
        return None
    return warning(
        "retried",
        f"{format_count(len(found), 'generation')} handed on more than once: {format_list(found)}.",
        "Look into the workers' logs for what ended them; the fifth time counts as failed.",
    )


def abandoned(
    seen: Iterable[RecordSummary], task_of: Callable[[str], str | None]
) -> Finding | None:
    """What follows them could not be started, and nobody has taken them up again."""
    found = [
        item
        for item in seen
        if item.is_abandoned and not _is_resumed(item, item.remote_id, task_of)
    ]
    if not found:
        return None
    return error(
        "given-up",
        f"{format_count(len(found), 'generation')} could not be handed on: "
        f"{format_list([item.task_id for item in found])}. What follows them never ran.",
        f"Look into the workers' logs for the cause, then:\n{_resume(found)}",
    )


def late_ids(seen: Iterable[RecordSummary], task_of: Callable[[str], str | None]) -> Finding | None:
    """Their id came after something else had been delivered, and nobody has taken them up."""
    found = [
        item
        for item in seen
        if item.late_remote_id and not _is_resumed(item, item.late_remote_id, task_of)
    ]
    if not found:
        return None
    return warning(
        "late-ids",
        f"{format_count(len(found), 'generation')} paid, though told otherwise before the id came: "
        f"{format_list([item.task_id for item in found])}.",
        f"Fetch what is paid:\n{_resume(found)}",
    )


def _is_resumed(
    item: RecordSummary, remote_id: str | None, task_of: Callable[[str], str | None]
) -> bool:
    """An adopted id belongs to the task that adopted it."""
    return remote_id is None or task_of(remote_id) not in (item.task_id, None)


def _resume(found: list[RecordSummary]) -> str:
    return "\n".join(f"  mulequeue resume {item.task_id}" for item in found[:3])
