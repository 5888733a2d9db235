"""Waiting until what was started has come to its end."""

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
from mulequeue.outcome import Outcome, is_outcome
from mulequeue.tasks.canvases import member_ids

_REFRESH_SECONDS = 0.01


class SettleWaiter:
    """What a worker of the tests can be asked about the work of its app.

    :param app: the Celery app.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    def run_until_settled(self, what: Any = None, *, timeout_seconds: float = 10.0) -> Any:
        """Wait until it is over; what it came to.

        :param what: the result of ``delay()`` (of a task, a chain, a group or a chord): an
            :class:`~mulequeue.Outcome` for a generation, whether it succeeded or not, and the
            return value for a task of your own. A task id: the same. A batch id: the outcomes of
            its members, in the order of the inputs. None: nothing is left to do anywhere; None
            comes back.
        :raises TimeoutError: it is not over in time; the text says what is left.
        :raises Exception: that a task of your own failed with.
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
        """Whether no message, no running task and nothing that is due is left."""
        return not any(self.pending_work().values())

    def pending_work(self) -> dict[str, Any]:
        """What keeps it from being idle: messages, running tasks, tasks the ledger waits with."""
        ctx = worker_context(self.app)
        redis = ctx.ledger.redis
        lists: list[bytes] = list(redis.scan_iter(count=1000, _type="list"))
        ours = ctx.ledger.prefix.encode()  # what is learned of lives is a list as well
        queues = [key for key in lists if not key.startswith(ours)]
        # The next look at the ledger is no work by itself: without anything due it changes nothing.
        unacked = [json.loads(row)[2] for row in redis.hvals("unacked")]
        due: Any = redis.zrange(f"{ctx.ledger.prefix}due", 0, 9)
        return {
            "queues": [key.decode(errors="replace") for key in queues],
            "messages": [name for name in unacked if name != ctx.settings.poll_queue],
            "running": [request.name for request in list(state.reserved_requests)],
            "ledger": [task_id.decode() for task_id in due],
        }

    def _until(self, look: Callable[[], Any], timeout_seconds: float) -> Any:
        ends = time.monotonic() + timeout_seconds
        while not (found := look()):
            if time.monotonic() > ends:
                raise TimeoutError(
                    f"Not settled after {timeout_seconds:g} s. Left: {self.pending_work()}. A generation "
                    "may take longer: give timeout_seconds. A queue that stays has no consumer: "
                    "name it in the task_routes of your app."
                )
            time.sleep(_REFRESH_SECONDS)
        return found

    def _of_id(self, name: str) -> Batch | AsyncResult | None:
        """The batch or the task of that id, once it is known."""
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


def _stable(look: Callable[[], bool]) -> Callable[[], bool]:
    """True the second time in a row: a message on its way is in no list for a moment."""
    seen = [False]

    def again() -> bool:
        before, seen[0] = seen[0], look()
        return before and seen[0]

    return again


def _is_over(result: Any) -> bool:
    """Ready, or never to be because something before it in the chain failed."""
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
    return Outcome.from_dict(value) if is_outcome(value) else value
