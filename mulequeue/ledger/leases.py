"""The leases of downloads and notifications, and their results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mulequeue.ledger.keyspace import Keyspace, optional_time
from mulequeue.ledger.serialization import pack
from mulequeue.ledger.types import Begun, Effects, LeaseResult

TRANSFER_LEASE_SECONDS = 20.0
EXPECTED_SECONDS = 25.0
"""A message that no worker has begun by then is published again, unless its queue has a backlog."""


class Leases:
    """One lease per download or notification, from before its message is published until its end."""

    def __init__(self, keys: Keyspace) -> None:
        self._keys = keys

    def expect(self, task_id: str, task: str, signature: Mapping[str, Any]) -> bool:
        """Record a message before it is published; if the broker loses it, a sweep repeats it.

        :param task: its task's name; messages of one task are begun in the order they were sent.
        :returns: False if it has a lease already, or has ended.
        """
        packed = pack(dict(signature))
        answer = self._run("expect", task_id, "", packed, EXPECTED_SECONDS, task)
        return bool(answer[0] == b"expected")

    def forget(self, task_id: str) -> None:
        """Drop the lease of a message that could not be serialized."""
        self._run("forget", task_id, "")

    def revoke(self, task_id: str) -> bool:
        """Wake a task that Celery revoked once more, so that a worker stores REVOKED."""
        return bool(self._run("revoke", task_id, "")[0] == b"revoked")

    def begin(self, task_id: str, run: str, signature: Mapping[str, Any]) -> Begun:
        """Take the lease, for one attempt.

        :param run: the token of the attempt.
        """
        packed = pack(dict(signature))
        answer = self._run("begin", task_id, run, packed, TRANSFER_LEASE_SECONDS)
        result = LeaseResult(answer[0].decode())
        if result is not LeaseResult.RUN:
            return Begun(result)
        effects = Effects(poll_by=optional_time(answer[3]))
        return Begun(result, int(answer[1]), float(answer[2]), effects)

    def keep(self, task_id: str, run: str) -> bool:
        """Renew the lease; False if another run has it."""
        return bool(self._run("keep", task_id, run, TRANSFER_LEASE_SECONDS)[0] == b"kept")

    def retry(self, task_id: str, run: str, seconds: float) -> Effects:
        """Schedule the next attempt after that many seconds."""
        answer = self._run("again", task_id, run, seconds)
        return Effects(poll_by=float(answer[1])) if answer[0] == b"again" else Effects()

    def end(self, task_id: str, run: str, result: Mapping[str, Any], *, ttl_seconds: int) -> bool:
        """Store the result, so that repeated messages are ignored; False if the lease was lost."""
        answer = self._run("end", task_id, run, json.dumps(result), ttl_seconds)
        return bool(answer[0] == b"ended")

    def result(self, task_id: str) -> dict[str, Any] | None:
        """Return the result of a download or notification that has ended."""
        text = self._keys.redis.get(f"{self._keys.prefix}done:{task_id}")
        return None if text is None else json.loads(text)

    def _run(self, *args: Any) -> Any:
        return self._keys.run("transfer", *args)
