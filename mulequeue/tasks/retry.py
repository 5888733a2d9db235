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
    """The categories of generations for :func:`retry`; the value is a text for the user."""

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
"""Longest time that :func:`retry` waits while workers return outcomes: a caller may have the result already."""
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried:
    """The result of :func:`retry`; with ``dry_run``, what a retry would do."""

    unpaid: tuple[str, ...] = ()
    """Task ids of the generations that run again and were not billed before."""
    paid: tuple[str, ...] = ()
    """Task ids of the generations that run again and may be billed a second time."""
    left: Mapping[str, str] = field(default_factory=dict)
    """Task id -> reason, for the generations that do not run again."""
    usd: Decimal = Decimal(0)
    """Estimated cost in US dollars of the generations that run again, as :func:`mulequeue.estimate` computes it."""
    unpriced: int = 0
    """Number of generations that run again and whose price is unknown; ``usd`` does not contain them."""
    in_chord: tuple[str, ...] = ()
    """Those of ``task_ids`` whose chord has received the failure: its body is not called again."""
    called: tuple[str, ...] = ()
    """Task ids of the generations whose ``each`` task was given up and is called again; nothing is billed."""

    @property
    def task_ids(self) -> tuple[str, ...]:
        """Return the task ids that run again."""
        return self.unpaid + self.paid

    @property
    def cost(self) -> str:
        """Return the estimated cost as text, such as ``0.90 USD (estimate)``."""
        return estimate_text(self.usd, len(self.task_ids), self.unpriced)


def retry(
    *names: str | UUID,
    failed: bool = False,
    unknown: bool = False,
    dry_run: bool = False,
    app: Any = None,
) -> Retried:
    """Run generations again that did not succeed, under their own task ids.

    Generations that were rejected and not billed run again: correct the input, the budget or the account
    first. Generations that may be billed a second time run again only with ``failed`` or ``unknown``. A generation
    that was cancelled before it was submitted runs again only if its task id is named.
    The tasks that follow a generation, and its batch, receive the new outcome. A chord that has received the
    failure is not called again (``in_chord``): its body would run twice, or without the other results, which
    Celery has deleted. A task of ``each`` that was given up is called again.
    If a worker is returning an outcome at this moment, the function waits for it, two seconds at most.

    :param names: task ids, remote ids and batch ids.
    :param failed: include generations that the API accepted and that failed.
    :param unknown: include generations of which it is unknown whether the API accepted the create request.
    :param dry_run: change nothing; return which generations would run again, and their estimated cost.
    :param app: a Celery app; None: the current app.
    :raises InputError: an id is unknown, or a generation that is named by a task id or remote id is not retried
        (the text has the reason). Nothing is changed.
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
    """Return the category of a generation for a retry, from its record alone."""
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
    """Return each task id with the name that the caller gave; None: the caller named its batch.

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
    """Return the retries, the ``each`` calls to repeat by task id, and the reason for each other task id."""
    left: dict[str, str] = {}
    chosen: list[Record] = []
    given_up: list[str] = []
    for record in _returned_records(ctx, list(named)):
        if record is None or record.state == "tombstone":
            continue  # a member that no worker has received
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
    """Return the records of tasks, after at most :data:`RETURN_SECONDS` for the outcomes that are being returned."""
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
    """Return the retries of records, and the task ids without one: no message is kept, or it is one of ``adopt``."""
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
    """Return whether a chord has received the failure. Of a chain, the last task holds the chord."""
    from mulequeue.ledger import unpack

    options = unpack(item.message)["options"]
    last = (options.get("chain") or [{}])[0].get("options") or {}
    return item.record.state == "delivered" and bool(options.get("chord") or last.get("chord"))


def _cost(ctx: WorkerContext, item: Retry) -> Decimal | None:
    """Return the estimated cost of a retry in US dollars; None: the price is unknown."""
    from mulequeue.ledger import unpack

    signature = unpack(item.message)
    given = arguments_by_name(signature["task"], signature["args"], signature["kwargs"])
    inputs: list[Any] = [given.get("input")]
    try:
        return amounts_of(ctx.settings, catalog.find(str(given.get("model"))), inputs)[0]
    except InputError:
        return None
