"""Run generations again that did not succeed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any
from uuid import UUID

from mulequeue import catalog
from mulequeue.engine.call_arguments import arguments_by_name
from mulequeue.engine.generation_call import id_text
from mulequeue.errors import InputError
from mulequeue.settings.costs import amounts_of, estimate_text
from mulequeue.tasks.batch_ids import member_ids
from mulequeue.tasks.control import context, unknown_id
from mulequeue.tasks.each_calls import repeat_calls

if TYPE_CHECKING:
    from mulequeue.engine.worker_context import WorkerContext
    from mulequeue.ledger import Record, Retry

_SUBMITTING_TASKS = ("mulequeue.generate", "mulequeue.generate_from")


class Standing(Enum):
    """The answer to whether a generation can be retried, with the reason."""

    UNPAID = "it was refused, and nothing was billed"
    FAILED = "it was accepted and may be billed; retry it with failed=True (--failed)"
    UNKNOWN = "it may exist and be billed; retry it with unknown=True (--unknown)"
    RUNNING = "it is running"  # also while its outcome is being returned
    SUCCEEDED = "it succeeded"
    CANCELLED = "it was cancelled; name its task id to retry it"
    RESUMABLE = "it may still succeed: continue it with resume (mulequeue resume TASK_ID)"


_PAID = (Standing.FAILED, Standing.UNKNOWN)
_LOST = "its input is not kept; start a new generation"
_NOT_KEPT = "the call of each is not kept; call the task with the outcome of the ledger"
RETURN_SECONDS = 2.0
"""How long :func:`retry` waits for a worker that is returning an outcome: a caller may have its result already."""
_LOOK_SECONDS = 0.05


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
        return estimate_text(self.usd, len(self.task_ids), self.unpriced)


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
    ctx = context(app)
    allowed = {Standing.UNPAID}
    allowed |= {Standing.FAILED} if failed else set()
    allowed |= {Standing.UNKNOWN} if unknown else set()
    named = _named_tasks(ctx, [id_text(name) for name in names])
    retries, calls, left = _plan(ctx, named, allowed)
    for task_id, name in named.items():
        if name is not None and task_id in left:
            raise InputError(f"Task {name} is not retried: {left[task_id]}. Nothing was changed.")
    called = list(calls)
    if not dry_run:
        ttl = ctx.settings.record_ttl_seconds
        done, effects = ctx.ledger.retries.retry(retries, ttl_seconds=ttl)
        ctx.carry_out(effects).result()
        called = repeat_calls(ctx, calls)
        ids = [item.record.task_id for item in retries]
        left |= {name: Standing.RUNNING.value for name in ids if name not in done}
        retries = [item for item in retries if item.record.task_id in done]
    ids = [item.record.task_id for item in retries]
    paid = {item.record.task_id for item in retries if standing_of(item.record) in _PAID}
    amounts = [amount for item in retries if (amount := _cost(ctx, item)) is not None]
    return Retried(
        unpaid=tuple(name for name in ids if name not in paid),
        paid=tuple(name for name in ids if name in paid),
        left=left,
        usd=sum(amounts, Decimal(0)),
        unpriced=len(ids) - len(amounts),
        in_chord=tuple(item.record.task_id for item in retries if _has_failed_chord(item)),
        called=tuple(called),
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


def _named_tasks(ctx: WorkerContext, names: Iterable[str]) -> dict[str, str | None]:
    """Return the task ids, and the name that the caller gave each; None: it is one of a batch.

    :raises InputError: an id is unknown.
    """
    found: dict[str, str | None] = {}
    queries = ctx.ledger.queries
    for name in names:
        batch = queries.batch(name)
        if batch is not None:
            for task_id in member_ids(batch):
                found.setdefault(task_id, None)
            continue
        known = name if queries.record(name) else queries.task_of(name)
        if known is None:
            raise unknown_id(name)
        found[known] = name
    return found


def _plan(
    ctx: WorkerContext, named: Mapping[str, str | None], allowed: set[Standing]
) -> tuple[list[Retry], dict[str, bytes], dict[str, str]]:
    """Return the retries, the calls of ``each`` that are repeated, and why the others are left."""
    left: dict[str, str] = {}
    chosen: list[Record] = []
    given_up: list[str] = []
    for record in _returned_records(ctx, list(named)):
        if record is None or record.state == "tombstone":
            continue  # a member that has not begun
        kind = standing_of(record)
        if kind is Standing.CANCELLED and named[record.task_id] is not None:
            kind = Standing.UNPAID
        if kind in allowed:
            chosen.append(record)
        elif record.each_error and kind is not Standing.RUNNING:
            given_up.append(record.task_id)
        else:
            left[record.task_id] = kind.value
    calls = dict(zip(given_up, ctx.ledger.leases.given_up(given_up), strict=True))
    left |= {name: _NOT_KEPT for name, call in calls.items() if call is None}
    retries, lost = prepare(ctx, chosen)
    left |= dict.fromkeys(lost, _LOST)
    kept = {name: call for name, call in calls.items() if call is not None}
    return retries, kept, left


def _returned_records(ctx: WorkerContext, task_ids: list[str]) -> list[Record | None]:
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


def _cost(ctx: WorkerContext, item: Retry) -> Decimal | None:
    """Return the estimated cost in US dollars; None: its price is unknown."""
    from mulequeue.ledger import unpack

    signature = unpack(item.message)
    given = arguments_by_name(signature["task"], signature["args"], signature["kwargs"])
    inputs: list[Any] = [given.get("input")]
    try:
        return amounts_of(ctx.settings, catalog.find(str(given.get("model"))), inputs)[0]
    except InputError:
        return None
