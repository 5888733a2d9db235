"""Records of the ledger that are overdue, stuck, or need an operator."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mulequeue.ledger import Ledger
from mulequeue.ledger.records import SCHEMA_VERSION, RecordSummary
from mulequeue.ops.health.check_result import (
    Finding,
    Level,
    error,
    format_count,
    format_list,
    passed,
    setting_name,
    warning,
)
from mulequeue.settings import Settings

LATE_SECONDS = 10.0
"""Seconds by which a record must be overdue to be reported. The watchdog of any worker starts a sweep earlier."""
FAILING_ERRORS = 3
"""Status checks in a row that must fail to be reported. Shorter series usually end without intervention."""
MAX_RECORDS = 20_000
"""The maximum of records that are examined, which takes a few seconds."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """The data with which the records are compared."""

    now: float
    """The time by Redis' clock, unix seconds."""
    keys: Collection[str]
    """Fingerprints of the API keys that are configured on this machine."""
    former: Collection[str]
    """Fingerprints of replaced API keys. No profile has such a key."""
    profiles: Collection[str]
    """Names of the profiles that are configured on this machine."""
    task_of: Callable[[str], str | None]
    """Returns the id of the task that has a remote id."""

    def is_lost(self, item: RecordSummary, remote_id: str | None) -> bool:
        """Return whether there is a remote id, and no other task has resumed its generation."""
        return bool(remote_id) and self.task_of(str(remote_id)) in (item.task_id, None)

    def lacks_profile(self, item: RecordSummary) -> bool:
        """Return whether workers of this machine cannot continue a record, because they lack its profile.

        If the profile's name is unknown, a generating record can be continued by its key, unless that key was
        replaced. A waiting record needs the name.
        """
        if item.profile in self.profiles:
            return False
        if item.state == "generating":
            return item.key in self.former and item.key not in self.keys
        return item.state == "waiting" and item.key in {*self.keys, *self.former}


@dataclass(frozen=True, kw_only=True)
class RecordCheck:
    """A check for one fault of single records.

    ``text`` and ``fix`` may contain placeholders: ``{count}`` is replaced by ``2 generations``, ``{tasks}`` by
    their ids, ``{first}`` by the id with the most errors in a row and ``{errors}`` by that number of errors.
    ``{value}`` is the result of ``value`` for the first record; ``{values}`` and ``{all}`` are the results for all
    records. ``{resume}`` and ``{retry}`` are commands.
    """

    id: str
    level: Level = "warning"
    is_stuck: Callable[[RecordSummary, Known], bool]
    text: str
    fix: str
    value: Callable[[RecordSummary], str] = lambda item: ""

    def finding(self, app: Any, summaries: Iterable[RecordSummary], known: Known) -> Finding | None:
        """Return the finding about the records with the fault, or None if no record has it."""
        found = [item for item in summaries if self.is_stuck(item, known)]
        if not found:
            return None
        found.sort(key=lambda item: -item.errors)
        ids, values = [item.task_id for item in found], [self.value(item) for item in found]
        given = {
            "count": format_count(len(found), "generation"),
            "tasks": format_list(ids),
            "first": ids[0],
            "errors": found[0].errors,
            "values": format_list(sorted(set(values))),
            "value": values[0],
            "former_fingerprints": setting_name(app, "mulequeue_former_fingerprints"),
            "all": sorted(set(values)),
            "profiles": setting_name(app, "mulequeue_profiles"),
            **{name: _commands(name, ids) for name in ("resume", "retry")},
        }
        report = error if self.level == "error" else warning
        return report(self.id, self.text.format(**given), self.fix.format(**given))


def _commands(name: str, task_ids: list[str]) -> str:
    return "\n".join(f"  mulequeue {name} {task_id}" for task_id in task_ids[:3])


def _problem(item: RecordSummary) -> str:
    return "" if item.problem is None else item.problem.text


RECORD_CHECKS = (
    RecordCheck(
        id="submitting",
        level="error",
        is_stuck=lambda item, known: (
            item.state == "submitting"
            and item.due is not None
            and known.now - item.due > LATE_SECONDS
        ),
        text="A worker stopped while it submitted {count}: {tasks}. Each may exist and may be billed.",
        fix="Start a worker: the poll loop settles them as submit_unknown. They are never sent again.",
    ),
    RecordCheck(
        id="unknown-keys",
        is_stuck=lambda item, known: (
            item.state == "generating" and item.key not in {*known.keys, *known.former}
        ),
        value=lambda item: item.key,
        text="{count} of a key that is not configured here (fingerprint {values}): {tasks}. A worker "
        "without that key does not check them.",
        fix="If the key was replaced by another key of the same account, set:\n"
        "  {former_fingerprints} = {all!r}\n"
        "Otherwise start a worker that has the key, or cancel the generations.",
    ),
    RecordCheck(
        id="unknown-profiles",
        is_stuck=lambda item, known: known.lacks_profile(item),
        value=lambda item: item.profile,
        text="{count} of a profile that is not configured here ({values}): {tasks}. A worker without that "
        "profile neither submits nor checks them.",
        fix="If it was renamed, configure it under its former name as well until they have ended:\n"
        "  {profiles} = {{{all[0]!r}: …}}\n"
        "Otherwise start a worker that has the profile, or cancel the generations.",
    ),
    RecordCheck(
        id="failing-checks",
        is_stuck=lambda item, known: (
            item.state == "generating"
            and item.problem is not None
            and item.errors >= FAILING_ERRORS
        ),
        value=_problem,
        text="The status checks of {count} get no usable answer: {tasks}. The longest row is that of "
        "{first}, {errors} checks: {value}",
        fix="A generation ends as timed_out after its max_wait, if the API answers about others. Until "
        "then it is checked. To see it:\n  mulequeue status {first}",
    ),
    RecordCheck(
        id="unknown-statuses",
        is_stuck=lambda item, known: (
            item.state == "generating"
            and item.problem is not None
            and item.problem.kind == "status"
        ),
        value=_problem,
        text="The API reports a status that this version does not know ({values}) for {count}: {tasks}. "
        "They count as active, until their max_wait.",
        fix="Upgrade mulequeue, or report the word. If it means an end, cancel them:\n"
        "  mulequeue cancel {first}",
    ),
    RecordCheck(
        id="newer-records",
        is_stuck=lambda item, known: item.version > SCHEMA_VERSION,
        text="A newer version of mulequeue wrote the records of {count}: {tasks}. This version does not "
        "process them.",
        fix="Upgrade this machine:\n  pip install --upgrade mulequeue",
    ),
    RecordCheck(
        id="retried",
        is_stuck=lambda item, known: (
            item.deliveries > 1
            and item.state in ("settled", "delivering")
            and not item.is_abandoned
        ),
        text="The outcomes of {count} were delivered to a worker more than once: {tasks}. After the fifth "
        "time the generation counts as failed.",
        fix="Find out in the workers' logs what interrupts them.",
    ),
    RecordCheck(
        id="given-up",
        level="error",
        is_stuck=lambda item, known: item.is_abandoned and known.is_lost(item, item.remote_id),
        text="The outcomes of {count} could not be delivered: {tasks}. The tasks that follow them never "
        "ran.",
        fix="Find the cause in the workers' logs and fix it, then:\n{resume}",
    ),
    RecordCheck(
        id="late-ids",
        is_stuck=lambda item, known: known.is_lost(item, item.late_remote_id),
        text="The API accepted {count} after another outcome had been delivered: {tasks}. They are billed.",
        fix="To get their files:\n{resume}",
    ),
    RecordCheck(
        id="not-stored",
        level="error",
        is_stuck=lambda item, known: bool(item.file_error) and known.is_lost(item, item.remote_id),
        value=lambda item: str(item.file_error),
        text="The files of {count} are not stored: {tasks}. The first reason: {value}",
        fix="Fix what it names. While the API has the files:\n{resume}",
    ),
    RecordCheck(
        id="not-notified",
        is_stuck=lambda item, known: bool(item.notify_error),
        value=lambda item: item.notify_error,
        text="The notifications of {count} were given up: {tasks}. The first reason: {value}",
        fix="Fix what it names, then enqueue notify again.",
    ),
    RecordCheck(
        id="not-called",
        is_stuck=lambda item, known: bool(item.each_error),
        value=lambda item: item.each_error,
        text="The task of each was given up for {count}: {tasks}. The first reason: {value}",
        fix="Fix what it names, then call it again:\n{retry}",
    ),
)


def examine_records(app: Any, settings: Settings, ledger: Ledger, command: str) -> list[Finding]:
    """Check the due index, the records, and the tasks that wait for another attempt.

    :param command: the command that starts a worker of this app, without the option ``-Q``.
    """
    size, head = ledger.queries.overdue()
    known = Known(
        now=ledger.queries.now(),
        keys={profile.fingerprint for profile in settings.known_profiles()},
        former=settings.former_fingerprints,
        profiles=("default", *settings.profiles),
        task_of=ledger.queries.task_of,
    )
    late_seconds = 0.0 if head is None else known.now - head
    summaries = list(ledger.queries.summaries(MAX_RECORDS))
    stuck = [check.finding(app, summaries, known) for check in RECORD_CHECKS]
    stuck.append(retries(ledger.leases.waiting(MAX_RECORDS)))
    reported = [finding for finding in stuck if finding is not None]
    return [
        polls(size, late_seconds, f"{command} -Q {settings.poll_queue}"),
        *(reported or [none_stuck(len(summaries))]),
    ]


def polls(size: int, late_seconds: float, command: str) -> Finding:
    """Check that due records are polled in time.

    :param size: number of entries in the due index.
    :param late_seconds: how long the first entry has been overdue.
    :param command: the command that starts a worker for the poll queue.
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


def retries(causes: Mapping[str, int]) -> Finding | None:
    """Report downloads and notifications that wait for another attempt.

    :param causes: the reason why the last attempt did not succeed -> number of tasks.
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
