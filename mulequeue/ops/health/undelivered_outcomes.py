"""Outcomes, files and notifications that did not reach their receiver."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from mulequeue.ledger.records import RecordSummary
from mulequeue.ops.health.check_result import Finding, error, format_count, format_list, warning


def retried(summaries: Iterable[RecordSummary]) -> Finding | None:
    """Report outcomes that were delivered more than once and are not yet dispatched."""
    found = [
        item.task_id
        for item in summaries
        if item.deliveries > 1 and item.state in ("settled", "delivering") and not item.is_abandoned
    ]
    if not found:
        return None
    return warning(
        "retried",
        f"The outcomes of {format_count(len(found), 'generation')} were delivered to a worker more than "
        f"once: {format_list(found)}. After the fifth time the generation counts as failed.",
        "Find out in the workers' logs what interrupts them.",
    )


def abandoned(
    summaries: Iterable[RecordSummary], task_of: Callable[[str], str | None]
) -> Finding | None:
    """Report outcomes whose delivery was abandoned and that were not resumed."""
    found = [
        item
        for item in summaries
        if item.is_abandoned and not _is_resumed(item, item.remote_id, task_of)
    ]
    if not found:
        return None
    return error(
        "given-up",
        f"The outcomes of {format_count(len(found), 'generation')} could not be delivered: "
        f"{format_list([item.task_id for item in found])}. The tasks that follow them never ran.",
        f"Find the cause in the workers' logs and fix it, then:\n{_resume(found)}",
    )


def late_ids(
    summaries: Iterable[RecordSummary], task_of: Callable[[str], str | None]
) -> Finding | None:
    """Report ids that arrived after another outcome was delivered and that were not resumed."""
    found = [
        item
        for item in summaries
        if item.late_remote_id and not _is_resumed(item, item.late_remote_id, task_of)
    ]
    if not found:
        return None
    return warning(
        "late-ids",
        f"The API accepted {format_count(len(found), 'generation')} after another outcome had been "
        f"delivered: {format_list([item.task_id for item in found])}. They are billed.",
        f"To get their files:\n{_resume(found)}",
    )


def not_stored(
    summaries: Iterable[RecordSummary], task_of: Callable[[str], str | None]
) -> Finding | None:
    """Report generations whose download was given up and that were not resumed."""
    found = [
        item
        for item in summaries
        if item.file_error and not _is_resumed(item, item.remote_id, task_of)
    ]
    if not found:
        return None
    return error(
        "not-stored",
        f"The files of {format_count(len(found), 'generation')} are not stored: "
        f"{format_list([item.task_id for item in found])}. The first reason: {found[0].file_error}",
        f"Fix what it names. While the API has the files:\n{_resume(found)}",
    )


def not_notified(summaries: Iterable[RecordSummary]) -> Finding | None:
    """Report generations whose notification was given up."""
    found = [item for item in summaries if item.notify_error]
    if not found:
        return None
    return warning(
        "not-notified",
        f"The notifications of {format_count(len(found), 'generation')} were given up: "
        f"{format_list([item.task_id for item in found])}. The first reason: {found[0].notify_error}",
        "Fix what it names, then enqueue notify again.",
    )


def not_called(summaries: Iterable[RecordSummary]) -> Finding | None:
    """Report generations whose task of ``each`` was given up."""
    found = [item for item in summaries if item.each_error]
    if not found:
        return None
    return warning(
        "not-called",
        f"The task of each was given up for {format_count(len(found), 'generation')}: "
        f"{format_list([item.task_id for item in found])}. The first reason: {found[0].each_error}",
        "Fix what it names, then call it again:\n"
        + "\n".join(f"  mulequeue retry {item.task_id}" for item in found[:3]),
    )


def retries(causes: Mapping[str, int]) -> Finding | None:
    """Report downloads and notifications that wait for another attempt.

    :param causes: why their last attempt did not succeed, and how many.
    """
    if not causes:
        return None
    number, most = sum(causes.values()), max(causes, key=lambda cause: causes[cause])
    return warning(
        "retries",
        f"Downloads and notifications that wait for another attempt: {number}. The most frequent reason "
        f"({causes[most]}): {most}",
        "If it does not pass by itself, fix what it names: the attempts continue by themselves.",
    )


def _is_resumed(
    item: RecordSummary, remote_id: str | None, task_of: Callable[[str], str | None]
) -> bool:
    """Return whether another task has adopted the id."""
    return remote_id is None or task_of(remote_id) not in (item.task_id, None)


def _resume(found: list[RecordSummary]) -> str:
    return "\n".join(f"  mulequeue resume {item.task_id}" for item in found[:3])
