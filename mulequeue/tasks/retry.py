"""Run generations again that did not succeed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from uuid import UUID

from mulequeue import catalog
from mulequeue.catalog.usd import format_usd
from mulequeue.engine.call_arguments import arguments_by_name
from mulequeue.engine.generation_call import id_text
from mulequeue.errors import InputError
from mulequeue.settings.costs import amounts_of
from mulequeue.tasks.batch_ids import member_ids
from mulequeue.tasks.each_calls import given_up_calls, repeat_calls
from mulequeue.tasks.known_ids import unknown_id

if TYPE_CHECKING:
    from mulequeue.engine.worker_context import WorkerContext
    from mulequeue.ledger import Record, Retry

_SUBMITTING_TASKS = ("mulequeue.generate", "mulequeue.generate_from")


class Standing(StrEnum):
    """The answer to whether a generation can be retried."""

    UNPAID = "unpaid"
    """It was refused, and nothing was billed."""
    FAILED = "failed"
    """The API accepted it and it failed; it may be billed."""
    UNKNOWN = "submit_unknown"
    """It may exist and be billed."""
    RUNNING = "running"
    """It has no outcome, or its outcome is being returned."""
    SUCCEEDED = "succeeded"
    CANCELLED = "cancelled"
    RESUMABLE = "resumable"
    """It has an id and may have succeeded since: ``resume`` continues it without a new one."""
    LOST = "lost"
    """Its input is not kept."""


_WHY_NOT = {
    Standing.FAILED: "it was accepted and may be billed; retry it with failed=True (--failed)",
    Standing.UNKNOWN: "it may exist and be billed; retry it with unknown=True (--unknown)",
    Standing.RUNNING: "it is running",
    Standing.SUCCEEDED: "it succeeded",
    Standing.CANCELLED: "it was cancelled; name its task id to retry it",
    Standing.RESUMABLE: "it may still succeed: continue it with resume (mulequeue resume TASK_ID)",
    Standing.LOST: "its input is not kept; start a new generation",
}


RETURN_SECONDS = 2.0
"""How long :func:`retry` waits for a worker that is returning an outcome: a caller may have its result already."""
_LOOK_SECONDS = 0.05

_NOT_KEPT = "the call of each is not kept; call the task with the outcome of the ledger"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried:
    """The result of :func:`retry`."""

    unpaid: tuple[str, ...] = ()
    """Task ids that run again, and of which nothing was billed."""
    paid: tuple[str, ...] = ()
    """Task ids that run again, and may be billed a second time."""
    left: Mapping[str, str] = field(default_factory=dict)
    """Task ids that do not run again, and why."""
    usd: Decimal = Decimal(0)
    """The estimated cost of those that run again, in US dollars, as of :func:`mulequeue.estimate`."""
    unpriced: int = 0
    """Number of those whose price is unknown; ``usd`` does not contain them."""
    in_chord: tuple[str, ...] = ()
    """Those of ``task_ids`` whose chord has received the failure: its body is not called again."""
    called: tuple[str, ...] = ()
    """Task ids whose task of ``each`` had been given up and is called again; nothing is billed."""

    @property
    def task_ids(self) -> tuple[str, ...]:
        """Return the task ids that run again."""
        return self.unpaid + self.paid

    @property
    def cost(self) -> str:
        """Return the estimated cost for people, such as ``0.90 USD (estimate)``."""
        if self.unpriced and self.unpriced == len(self.task_ids):
            return "price unknown (set mulequeue_prices)"
        more = f", and {self.unpriced:,} without a known price" if self.unpriced else ""
        return f"{format_usd(self.usd)} (estimate){more}"


def retry(
    *names: str | UUID,
    failed: bool = False,
    unknown: bool = False,
    dry_run: bool = False,
    app: Any = None,
) -> Retried:
    """Run generations again that did not succeed, under their own task ids.

    Generations that were refused, and not billed, run again: correct the input, the budget or the account
    first. Those that may be billed a second time run again only with ``failed`` or ``unknown``.
    The tasks that follow a generation, and its batch, receive the new outcome. A chord that has
    received the failure is not called again (``in_chord``): its body would run twice, or without the other
    results, which Celery has deleted. A task of ``each`` that was given up is called again.
    An outcome that a worker is just returning is waited for, for two seconds at most.

    :param names: task ids, remote ids and batch ids.
    :param failed: include generations that the API accepted and that failed.
    :param unknown: include generations whose create request may have been accepted.
    :param dry_run: change nothing; return what would run again, and its estimated cost.
    :param app: a Celery app; None: the current app.
    :raises InputError: an id is unknown, or names a task that cannot be retried. Nothing is changed.
    """
    from mulequeue.engine.worker_context import worker_context

    ctx = worker_context(app)
    allowed = {Standing.UNPAID}
    allowed |= {Standing.FAILED} if failed else set()
    allowed |= {Standing.UNKNOWN} if unknown else set()
    chosen, left, given_up = _chosen(ctx, [id_text(name) for name in names], allowed)
    calls, unknown_calls = given_up_calls(ctx, given_up)
    left |= dict.fromkeys(unknown_calls, _NOT_KEPT)
    retries, lost = prepare(ctx, [record for record, _ in chosen])
    left |= dict.fromkeys(lost, _WHY_NOT[Standing.LOST])
    _check_tasks(ctx, names, left)
    done, called = {item.record.task_id for item in retries}, set(calls)
    if not dry_run:
        done, called = _carry_out(ctx, retries), repeat_calls(ctx, calls)
        left |= {
            item.record.task_id: _WHY_NOT[Standing.RUNNING]
            for item in retries
            if item.record.task_id not in done
        }
    usd, unpriced = _cost(ctx, (item for item in retries if item.record.task_id in done))
    kept = [(record.task_id, kind) for record, kind in chosen if record.task_id in done]
    return Retried(
        unpaid=tuple(task_id for task_id, kind in kept if kind is Standing.UNPAID),
        paid=tuple(task_id for task_id, kind in kept if kind is not Standing.UNPAID),
        left=left,
        usd=usd,
        unpriced=unpriced,
        in_chord=tuple(
            item.record.task_id
            for item in retries
            if item.record.task_id in done and _has_failed_chord(item)
        ),
        called=tuple(task_id for task_id in calls if task_id in called),
    )


def standing_of(record: Record) -> Standing:
    """Return whether a generation can be retried, as far as its record shows it."""
    if record.status is None or _is_being_returned(record):
        return Standing.RUNNING
    if record.status == "succeeded":
        return Standing.SUCCEEDED
    has_id = record.remote_id is not None
    if record.late_remote_id or record.poisoned or (has_id and record.status != "failed"):
        return Standing.RESUMABLE
    if record.status == "submit_unknown" or (record.status == "cancelled" and record.submitted):
        return Standing.UNKNOWN
    if record.status == "cancelled":
        return Standing.CANCELLED
    return Standing.FAILED if has_id else Standing.UNPAID


def _is_being_returned(record: Record) -> bool:
    return record.status is not None and record.state != "delivered" and record.deliveries > 0


def _chosen(
    ctx: WorkerContext, names: list[str], allowed: set[Standing]
) -> tuple[list[tuple[Record, Standing]], dict[str, str], list[str]]:
    """Return the records to retry, why the others are left, and those whose ``each`` was given up.

    :raises InputError: an id is unknown.
    """
    chosen: dict[str, tuple[Record, Standing]] = {}
    left: dict[str, str] = {}
    given_up: dict[str, None] = {}
    for name in names:
        batch = ctx.ledger.queries.batch(name)
        task_ids = member_ids(batch) if batch else [_task_id(ctx, name)]
        for record in _returned_records(ctx, task_ids):
            if record is None or record.state == "tombstone":
                continue  # a member that has not begun
            kind = standing_of(record)
            if kind is Standing.CANCELLED and batch is None:
                kind = Standing.UNPAID
            if kind in allowed:
                chosen[record.task_id] = (record, kind)
            elif record.each_error and kind is not Standing.RUNNING:
                given_up[record.task_id] = None
            else:
                left[record.task_id] = _WHY_NOT[kind]
    return list(chosen.values()), left, list(given_up)


def _returned_records(ctx: WorkerContext, task_ids: Sequence[str]) -> list[Record | None]:
    """Return the records of tasks, with the outcomes that are being returned if that ends soon."""
    records = dict(zip(task_ids, ctx.ledger.queries.records(task_ids), strict=True))
    ends = time.monotonic() + RETURN_SECONDS
    while time.monotonic() < ends:
        early = [name for name, record in records.items() if record and _is_being_returned(record)]
        if not early:
            break
        time.sleep(_LOOK_SECONDS)
        records |= zip(early, ctx.ledger.queries.records(early), strict=True)
    return list(records.values())


def _task_id(ctx: WorkerContext, name: str) -> str:
    """Return the task id of a task id or a remote id.

    :raises InputError: the ledger knows neither.
    """
    task_id = name if ctx.ledger.queries.record(name) else ctx.ledger.queries.task_of(name)
    if task_id is None:
        raise unknown_id(name)
    return task_id


def _check_tasks(ctx: WorkerContext, names: Iterable[Any], left: Mapping[str, str]) -> None:
    """Raise InputError for a task that was named and cannot be retried; a batch may have such members."""
    for name in map(str, names):
        task_id = name if name in left else ctx.ledger.queries.task_of(name)
        if task_id is not None and task_id in left:
            raise InputError(f"Task {name} is not retried: {left[task_id]}. Nothing was changed.")


def prepare(ctx: WorkerContext, records: list[Record]) -> tuple[list[Retry], list[str]]:
    """Return the retries of records, and the task ids whose message is not kept."""
    from mulequeue.engine.submit.park import EPOCH, upgrade_signature
    from mulequeue.ledger import Retry, new_token, pack, unpack

    retries, lost = [], []
    for record, message in zip(records, ctx.ledger.retries.messages(records), strict=True):
        signature = upgrade_signature(unpack(message)) if message else None
        if signature is None or signature["task"] not in _SUBMITTING_TASKS:
            lost.append(record.task_id)
            continue
        epoch = new_token()
        kwargs = {**signature["kwargs"], EPOCH: epoch}
        retries.append(
            Retry(
                record=record,
                epoch=epoch,
                message=pack({**signature, "kwargs": kwargs}),
                profile=kwargs.get("profile") or "default",
            )
        )
    return retries, lost


def _has_failed_chord(item: Retry) -> bool:
    """Return whether the failure was returned to a chord; the last task of a chain names the chord."""
    from mulequeue.ledger import unpack

    options = unpack(item.message)["options"]
    last = (options.get("chain") or [{}])[0].get("options") or {}
    return item.record.state == "delivered" and bool(options.get("chord") or last.get("chord"))


def _carry_out(ctx: WorkerContext, retries: list[Retry]) -> set[str]:
    """Retry, and return the task ids that run again."""
    ttl = ctx.settings.record_ttl_seconds
    done, effects = ctx.ledger.retries.retry(retries, ttl_seconds=ttl)
    ctx.carry_out(effects).result()
    return done


def _cost(ctx: WorkerContext, retries: Iterable[Retry]) -> tuple[Decimal, int]:
    """Return the estimated cost in US dollars, and the number of those without a price."""
    from mulequeue.ledger import unpack

    inputs: dict[str, list[Any]] = {}
    for item in retries:
        signature = unpack(item.message)
        given = arguments_by_name(signature["task"], signature["args"], signature["kwargs"])
        inputs.setdefault(str(given.get("model")), []).append(given.get("input"))
    amounts: list[Decimal | None] = []
    for model, items in inputs.items():
        try:
            amounts += amounts_of(ctx.settings, catalog.find(model), items)
        except InputError:
            amounts += [None] * len(items)
    known = [amount for amount in amounts if amount is not None]
    return sum(known, Decimal(0)), len(amounts) - len(known)
