"""Records of the ledger that are overdue, stuck, or need an operator."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from mulequeue.ledger import Ledger
from mulequeue.ledger.records import SCHEMA_VERSION, RecordSummary
from mulequeue.ops.health.check_result import (
    Finding,
    error,
    format_count,
    format_list,
    passed,
    setting_name,
    warning,
)
from mulequeue.ops.health.undelivered_outcomes import (
    abandoned,
    late_ids,
    not_called,
    not_notified,
    not_stored,
    retried,
    retries,
)
from mulequeue.settings import Settings

LATE_SECONDS = 10.0
"""Any worker's watchdog starts a sweep for overdue records before this time."""
FAILING_ERRORS = 3
"""Fewer errors in a row pass by themselves."""
MAX_RECORDS = 20_000
"""The number of records that are examined, which takes a few seconds."""


def examine_records(app: Any, settings: Settings, ledger: Ledger, command: str) -> list[Finding]:
    """Check the due index and the records.

    :param command: the command that starts a worker of this app, without queues.
    """
    size, head = ledger.queries.overdue()
    now = ledger.queries.now()
    late_seconds = 0.0 if head is None else now - head
    found = [polls(size, late_seconds, f"{command} -Q {settings.poll_queue}")]
    summaries = list(ledger.queries.summaries(MAX_RECORDS))
    keys = {profile.fingerprint for profile in settings.known_profiles()}
    former = set(settings.former_fingerprints)
    names = ("default", *settings.profiles)
    former_setting = setting_name(app, "mulequeue_former_fingerprints")
    stuck = (
        submitting(summaries, now),
        unknown_keys(summaries, keys | former, former_setting),
        unknown_profiles(summaries, keys, former, names, setting_name(app, "mulequeue_profiles")),
        failing_checks(summaries),
        unknown_statuses(summaries),
        newer(summaries),
        retried(summaries),
        abandoned(summaries, ledger.queries.task_of),
        late_ids(summaries, ledger.queries.task_of),
        not_stored(summaries, ledger.queries.task_of),
        not_notified(summaries),
        not_called(summaries),
        retries(ledger.leases.waiting(MAX_RECORDS)),
    )
    reported = [finding for finding in stuck if finding is not None]
    return [*found, *(reported or [none_stuck(len(summaries))])]


def polls(size: int, late_seconds: float, command: str) -> Finding:
    """Check that due records are polled in time.

    :param size: the number of entries in the due index.
    :param late_seconds: how long the first of them has been overdue.
    """
    if late_seconds > LATE_SECONDS:
        return error(
            "polls",
            f"The first of {size} entries in the due index is {late_seconds:.0f} s overdue: no worker "
            "polls.",
            f"Start a worker with a free slot for the poll queue:\n  {command}",
        )
    return passed("polls", f"No entry in the due index is overdue ({size} in total).")


def none_stuck(number: int) -> Finding:
    only = " (the ledger may have more)" if number >= MAX_RECORDS else ""
    return passed("records", f"None of {format_count(number, 'examined record')} is stuck{only}.")


def submitting(summaries: Iterable[RecordSummary], now: float) -> Finding | None:
    """Report submissions whose worker crashed and that no sweep has settled."""
    late = [
        item.task_id
        for item in summaries
        if item.state == "submitting" and item.due is not None and now - item.due > LATE_SECONDS
    ]
    if not late:
        return None
    return error(
        "submitting",
        f"A worker stopped while it submitted {format_count(len(late), 'generation')}: {format_list(late)}. "
        "Each may exist and may be billed.",
        "Start a worker: the poll loop settles them as submit_unknown. They are never sent again.",
    )


def unknown_keys(
    summaries: Iterable[RecordSummary], known: Collection[str], setting: str
) -> Finding | None:
    """Report generations that no key of this machine can check.

    :param known: the fingerprints of this machine's keys.
    :param setting: this project's spelling of ``mulequeue_former_fingerprints``.
    """
    foreign = [item for item in summaries if item.state == "generating" and item.key not in known]
    if not foreign:
        return None
    fingerprints = sorted({item.key for item in foreign})
    return warning(
        "unknown-keys",
        f"{format_count(len(foreign), 'generation')} of a key that is not configured here (fingerprint "
        f"{format_list(fingerprints)}): {format_list([item.task_id for item in foreign])}. A worker without "
        "that key does not check them.",
        "If the key was replaced by another key of the same account, set:\n"
        f"  {setting} = {fingerprints!r}\n"
        "Otherwise start a worker that has the key, or cancel the generations.",
    )


def unknown_profiles(
    summaries: Iterable[RecordSummary],
    keys: Collection[str],
    former: Collection[str],
    names: Collection[str],
    setting: str,
) -> Finding | None:
    """Report generations whose key is known, and whose profile was renamed or removed.

    The key finds the profile of a running generation. A former key has no profile, and a submission that
    waits is made under the profile of its call.

    :param keys: the fingerprints of this machine's keys. :param former: those of replaced keys.
    :param names: the profiles of this machine. :param setting: its spelling of ``mulequeue_profiles``.
    """
    found = [
        item
        for item in summaries
        if item.profile not in names
        and (
            (item.state == "generating" and item.key in set(former) - set(keys))
            or (item.state == "waiting" and item.key in {*keys, *former})
        )
    ]
    if not found:
        return None
    profiles = sorted({item.profile for item in found})
    return warning(
        "unknown-profiles",
        f"{format_count(len(found), 'generation')} of a profile that is not configured here "
        f"({format_list(profiles)}): {format_list([item.task_id for item in found])}. A worker without that "
        "profile neither submits nor checks them.",
        f"If it was renamed, configure it under its former name as well until they have ended:\n"
        f"  {setting} = {{{profiles[0]!r}: …}}\n"
        "Otherwise start a worker that has the profile, or cancel the generations.",
    )


def failing_checks(summaries: Iterable[RecordSummary]) -> Finding | None:
    """Report generations whose status checks get no usable answer."""
    found = [
        (item, item.problem)
        for item in summaries
        if item.state == "generating" and item.problem is not None and item.errors >= FAILING_ERRORS
    ]
    if not found:
        return None
    item, problem = max(found, key=lambda pair: pair[0].errors)
    return warning(
        "failing-checks",
        f"The status checks of {format_count(len(found), 'generation')} get no usable answer: "
        f"{format_list([item.task_id for item, _ in found])}. The longest row is that of {item.task_id}, "
        f"{item.errors} checks: {problem.text}",
        "A generation ends as timed_out after its max_wait, if the API answers about others. Until then it "
        f"is checked. To see it:\n  mulequeue status {item.task_id}",
    )


def unknown_statuses(summaries: Iterable[RecordSummary]) -> Finding | None:
    """Report status words that this version does not know."""
    found = [
        (item.task_id, item.problem.text)
        for item in summaries
        if item.state == "generating" and item.problem is not None and item.problem.kind == "status"
    ]
    if not found:
        return None
    words = sorted({word for _, word in found})
    return warning(
        "unknown-statuses",
        f"The API reports a status that this version does not know ({format_list(words)}) for "
        f"{format_count(len(found), 'generation')}: {format_list([task_id for task_id, _ in found])}. They count "
        "as active, until their max_wait.",
        "Upgrade mulequeue, or report the word. If it means an end, cancel them:\n"
        f"  mulequeue cancel {found[0][0]}",
    )


def newer(summaries: Iterable[RecordSummary]) -> Finding | None:
    """Report records of a newer version of mulequeue, which this version does not process."""
    found = [item.task_id for item in summaries if item.version > SCHEMA_VERSION]
    if not found:
        return None
    return warning(
        "newer-records",
        f"A newer version of mulequeue wrote {format_count(len(found), 'record')}: {format_list(found)}. This "
        "version does not process them.",
        "Upgrade this machine:\n  pip install --upgrade mulequeue",
    )
