"""The leases of downloads, notifications, ``each`` calls and batch tasks, and their results."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from mulequeue.ledger.keyspace import Part
from mulequeue.ledger.records import answer_values
from mulequeue.ledger.serialization import pack
from mulequeue.ledger.types import Effects

TRANSFER_LEASE_SECONDS = 20.0
EXPECTED_SECONDS = 25.0
"""Time after which a message that no worker has begun is published again, unless its queue has a backlog."""
MAX_ERROR_LENGTH = 500


class LeaseResult(StrEnum):
    """The answer to a message of a download or notification."""

    RUN = "run"
    ABANDONED = "abandoned"
    """The lease is granted to fail the task: it was delivered too often without an end."""
    DONE = "done"
    BUSY = "busy"
    """Another run has the lease."""
    EARLY = "early"
    """A repeated message: the next attempt is not due yet."""
    OTHER = "other"
    """The lease belongs to a task of the same id that other tasks follow."""


class RetryReason(StrEnum):
    """Why a download or notification is tried again."""

    FAILED = "failed"
    ELSEWHERE = "elsewhere"
    """This worker could not make the attempt, so it does not count: another worker may."""
    STORAGE = "storage"
    """The storage of this worker failed; that of another one may work."""
    UNDISPATCHED = "undispatched"
    """Celery could not publish the tasks that follow, or could not store the result."""


class Begun(NamedTuple):
    """The ledger's answer to an attempt of a download or notification."""

    result: LeaseResult
    attempt: int = 0
    """Number of the attempt, from 1."""
    elapsed_seconds: float = 0.0
    """Seconds since the first attempt began."""
    effects: Effects = Effects()
    is_dispatched: bool = False
    """An earlier run has published the tasks that follow."""
    deliveries: int = 1
    """Deliveries to a worker since an attempt last ended, with this one."""
    verdict: Mapping[str, Any] | None = None
    """The value or error of the attempts, which only has to be dispatched; None: make an attempt."""
    elsewhere: int = 0
    """Number of attempts in a row that were left to other workers."""
    cause: str = ""
    """Why the last attempt or dispatch did not succeed."""
    returned: int = 0
    """How often the task of a batch ended before a member was retried."""


class Leases(Part):
    """One lease per download or notification, from before its message is published until its end."""

    def expect(
        self, task_id: str, task: str, signature: Mapping[str, Any], *, tail: str = ""
    ) -> bool:
        """Record a message before it is published; if the broker loses the message, a sweep repeats it.

        :param task: name of the task, under which the ledger records how far its queue has progressed.
        :param tail: digest of the tasks that follow.
        :returns: False if the task has a lease already, has begun or has ended.
        """
        return bool(self._expect(None, (task_id, task, signature, tail))[0] == b"expected")

    def expect_all(self, messages: Iterable[tuple[str, str, Mapping[str, Any], str]]) -> set[str]:
        """Record messages before they are published.

        :param messages: the task id, the task's name, the signature and the tail of each.
        :returns: the task ids that are new: they have no lease, have not begun and have not ended.
        """
        answers = self._keys.send_for_each(messages, self._expect)
        return {message[0] for message, [(what,)] in answers if what == b"expected"}

    def _expect(self, pipe: Any, message: tuple[str, str, Mapping[str, Any], str]) -> Any:
        task_id, task, signature, tail = message
        given: dict[str, Any] = {"signature": pack(dict(signature)), "task": task, "tail": tail}
        return self._run("expect", task_id, seconds=EXPECTED_SECONDS, pipe=pipe, **given)

    def forget(self, task_id: str) -> None:
        """Drop the lease of a message that could not be serialized."""
        self._run("forget", task_id)

    def revoke(self, task_id: str) -> bool:
        """Wake a task that Celery revoked once more, so that a worker stores REVOKED."""
        return bool(self._run("revoke", task_id)[0] == b"revoked")

    def begin(
        self, task_id: str, run: str, signature: Mapping[str, Any], *, tail: str = ""
    ) -> Begun:
        """Acquire the lease for one attempt; the result of the answer says whether it is granted.

        :param tail: digest of the tasks that follow (chain, callbacks, chord). It distinguishes messages of one
            task id that are followed by other tasks. Empty: they are not compared.
        """
        packed = pack(dict(signature))
        answer = self._run(
            "begin", task_id, run, lease=TRANSFER_LEASE_SECONDS, signature=packed, tail=tail
        )
        result = LeaseResult(answer[0].decode())
        return Begun(result, effects=Effects.of(answer), **answer_values(Begun, answer))

    def record_dispatch(self, task_id: str, run: str) -> None:
        """Record that the tasks that follow were published, so that a later run does not publish them again."""
        self._run("dispatched", task_id, run)

    def wait(
        self, task_id: str, run: str, batch_id: str, signature: Mapping[str, Any], *, seconds: float
    ) -> Effects:
        """Park the task. The signature wakes it when the batch is over, at the latest after ``seconds``."""
        packed = pack(dict(signature))
        return Effects.of(
            self._run("wait", task_id, run, batch_id=batch_id, signature=packed, seconds=seconds)
        )

    def held(self, task_ids: Sequence[str]) -> set[str]:
        """Return those of the ids that have a lease."""
        start = f"{self._prefix}transfer:"
        found = self._keys.send_for_each(
            task_ids, lambda pipe, task_id: pipe.exists(f"{start}{task_id}")
        )
        return {task_id for task_id, [exists] in found if exists}

    def keep(self, task_id: str, run: str) -> bool:
        """Renew the lease; return False if another run has the lease or it has ended."""
        return bool(self._run("keep", task_id, run, lease=TRANSFER_LEASE_SECONDS)[0] == b"kept")

    def decide(
        self, task_id: str, run: str, verdict: Mapping[str, Any], *, is_dispatching: bool
    ) -> Effects:
        """Store the value or error of the attempts: later deliveries dispatch it and make no attempt.

        :param is_dispatching: this run dispatches it; False: it cannot, so the next message is due at once.
        """
        lease = TRANSFER_LEASE_SECONDS if is_dispatching else None
        text = json.dumps(verdict)
        return Effects.of(self._run("decide", task_id, run, lease=lease, verdict=text))

    def retry(
        self,
        task_id: str,
        run: str,
        seconds: float,
        *,
        how: RetryReason = RetryReason.FAILED,
        cause: str = "",
    ) -> Effects:
        """Schedule the next attempt after that many seconds; the cause is a text for display."""
        return Effects.of(
            self._run("again", task_id, run, seconds=seconds, reason=how.value, cause=cause)
        )

    def end(
        self,
        task_id: str,
        run: str,
        result: Mapping[str, Any],
        *,
        ttl_seconds: int,
        generation: str | None = None,
        error_field: str = "",
    ) -> bool:
        """Store the result, so that repeated messages are ignored; return False if the lease was lost.

        :param generation: id of the generation that the task follows; the error is written to its record.
        :param error_field: the field of that record.
        """
        error = str(result.get("error") or "")[:MAX_ERROR_LENGTH]
        known = {name: value for name, value in result.items() if value is not None}
        text = json.dumps(known, separators=(",", ":"))  # Redis keeps 44 bytes in one block
        told = {"generation": generation, "field": error_field, "error": error or None}
        answer = self._run("end", task_id, run, result=text, ttl=ttl_seconds, **told)
        return bool(answer[0] == b"ended")

    def given_up(self, generations: Sequence[str]) -> list[bytes | None]:
        """Return for each generation the signature of its ``each`` call that was given up; None: it is not kept."""
        keys = [f"{self._prefix}again:{task_id}" for task_id in generations]
        found: list[bytes | None] = self._redis.mget(keys) if keys else []  # type: ignore[assignment]
        return found

    def repeat(self, task_id: str, signature: bytes, *, generation: str) -> Effects | None:
        """Start an ``each`` call that was given up again; return None if it runs, has succeeded or has expired.

        :param signature: as :meth:`given_up` returned it.
        """
        answer = self._run("repeat", task_id, signature=signature, generation=generation)
        return Effects.of(answer) if answer[0] == b"repeated" else None

    def waiting(self, most: int) -> Counter[str]:
        """Count leases that wait for another attempt by the cause of the last one, in the first ``most`` due entries."""
        prefix = self._prefix
        due: list[bytes] = self._redis.zrange(f"{prefix}due", 0, most - 1)  # type: ignore[assignment]
        names = (name.decode() for name in due if name.startswith(b"transfer:"))
        found = self._keys.send_for_each(
            names, lambda pipe, name: pipe.hget(f"{prefix}{name}", "cause")
        )
        return Counter(cause.decode() for _, [cause] in found if cause)

    def result(self, task_id: str) -> dict[str, Any] | None:
        """Return the result of a download or notification that has ended."""
        text = self._redis.get(f"{self._prefix}done:{task_id}")
        return None if text is None else json.loads(text)

    def _run(self, what: str, task_id: str, run: str | None = None, **args: Any) -> Any:
        return self._keys.run("transfer", what=what, task_id=task_id, run=run, **args)
