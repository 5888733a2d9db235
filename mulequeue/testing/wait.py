"""Wait until tasks, batches or the whole app have finished."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from celery.result import AsyncResult, GroupResult, ResultBase
from celery.worker import state

from mulequeue.engine.worker_context import worker_context
from mulequeue.errors import GenerationError
from mulequeue.ledger import Batch, outcome_of
from mulequeue.outcome import Outcome, is_outcome, is_reference
from mulequeue.tasks.batch_ids import member_ids

_CHECK_SECONDS = 0.01


class SettleWaiter:
    """Waits for the work of an app.

    :param app: the Celery app.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    def run_until_settled(self, what: Any = None, *, timeout_seconds: float = 10.0) -> Any:
        """Wait until the work has finished, and return its result.

        :param what: the result of ``delay()`` (of a task, a chain, a group or a chord), a task id, a batch id, or
            None, which waits until no work is left.
        :returns: for a generation its :class:`~mulequeue.Outcome`, even if it failed; for your own task its return
            value; for a batch the outcomes of its members in the order of the inputs; for None, None.
        :raises TimeoutError: the work did not finish in time; the text lists the remaining work.
        :raises Exception: your own task failed; this is its exception.
        """
        if isinstance(what, str):
            name = what
            what = self._until(lambda: self._of_id(name), timeout_seconds)
        if what is None:
            self._until(_stable(self.is_idle), timeout_seconds)
            return None
        if isinstance(what, Batch):
            return self._members(what.batch_id, timeout_seconds)
        if not isinstance(what, ResultBase):
            raise TypeError(f"run_until_settled takes a result, an id or nothing, not {what!r}")
        self._until(lambda: _is_over(what), timeout_seconds)
        return _result_of(what)

    def is_idle(self) -> bool:
        """Return True if there are no messages, no running tasks, and no records with a due time."""
        return not any(self.pending_work().values())

    def pending_work(self) -> dict[str, Any]:
        """Return the remaining work, as lists that are empty if there is none.

        ``queues`` are the queues that hold messages, ``messages`` the tasks of unacknowledged messages,
        ``running`` the tasks that this process runs, and ``ledger`` the first ten records with a due time.
        """
        ctx = worker_context(self.app)
        redis = ctx.ledger.redis
        lists: list[bytes] = list(redis.scan_iter(count=1000, _type="list"))
        ledger_prefix = ctx.ledger.prefix.encode()  # the measured durations are lists as well
        queues = [key for key in lists if not key.startswith(ledger_prefix)]
        # A scheduled poll message is not work: without due records it changes nothing.
        unacked = [json.loads(row)[2] for row in redis.hvals("unacked")]
        due: Any = redis.zrange(f"{ctx.ledger.prefix}due", 0, 9)
        return {
            "queues": [key.decode(errors="replace") for key in queues],
            "messages": [name for name in unacked if name != ctx.settings.poll_queue],
            "running": [request.name for request in list(state.reserved_requests)],
            "ledger": [task_id.decode() for task_id in due],
        }

    def _until(self, check: Callable[[], Any], timeout_seconds: float) -> Any:
        deadline = time.monotonic() + timeout_seconds
        while not (found := check()):
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"Not settled after {timeout_seconds:g} s. Left: {self.pending_work()}. "
                    "If a generation takes longer, set timeout_seconds. A queue that stays in the "
                    "list has no consumer: name it in the task_routes of your app."
                )
            time.sleep(_CHECK_SECONDS)
        return found

    def _of_id(self, name: str) -> Batch | AsyncResult | None:
        """Return the batch or the task with that id, or None while it is unknown."""
        ledger = worker_context(self.app).ledger
        result = AsyncResult(name, app=self.app)
        is_task = ledger.queries.record(name) is not None or result.ready()
        return ledger.queries.batch(name) or (result if is_task else None)

    def _members(self, batch_id: str, timeout_seconds: float) -> list[Outcome]:
        ledger = worker_context(self.app).ledger

        def records() -> list[Any] | None:
            batch = ledger.queries.batch(batch_id)
            found = ledger.queries.records(member_ids(batch)) if batch else [None]
            over = [record for record in found if record and record.state == "delivered"]
            return found if len(over) == len(found) else None

        self._until(records, timeout_seconds)
        self._until(_stable(self.is_idle), timeout_seconds)
        return [outcome_of(record) for record in records() or ()]


def _stable(check: Callable[[], bool]) -> Callable[[], bool]:
    """Return a check that is True when ``check`` has been True twice in a row.

    Once is not enough: while a worker receives a message, no list contains it.
    """
    result = [False]

    def check_again() -> bool:
        previous, result[0] = result[0], check()
        return previous and result[0]

    return check_again


def _is_over(result: Any) -> bool:
    """Return True if the result is ready, or will never be ready because an earlier task failed."""
    if isinstance(result, GroupResult):
        return all(_is_over(member) for member in result.results)
    return bool(result.ready()) or _failed_before(result) is not None


def _failed_before(result: Any) -> Any:
    parent = result.parent
    while parent is not None:
        if isinstance(parent, GroupResult):
            failed = next((member for member in parent.results if member.failed()), None)
        else:
            failed = parent if parent.failed() else None
        if failed is not None:
            return failed
        parent = parent.parent
    return None


def _result_of(result: Any) -> Any:
    if isinstance(result, GroupResult):
        return [_result_of(member) for member in result.results]
    value = (result if result.ready() else _failed_before(result)).result
    if isinstance(value, GenerationError):
        return Outcome.from_dict(value.outcome)
    if isinstance(value, BaseException):
        raise value
    return _outcomes(value)


def _outcomes(value: Any) -> Any:
    if isinstance(value, list):
        return [_outcomes(item) for item in value]
    is_whole = is_outcome(value) and not is_reference(value)
    return Outcome.from_dict(value) if is_whole else value
