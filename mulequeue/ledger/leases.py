"""Downloads and notifications in the ledger: one lease each, and what they came to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from mulequeue.ledger.keyspace import Keyspace
from mulequeue.ledger.serialization import pack
from mulequeue.ledger.types import Begun, begun_of
from mulequeue.outcome import File

TRANSFER_LEASE_SECONDS = 20.0
EXPECTED_SECONDS = 25.0
"""A message that no worker has begun by then is looked after: lost, or behind others."""


class LeaseStore(Keyspace):
    """The lease of a download or notification: from before its message leaves until its end."""

    def expect_transfer(self, task_id: str, task: str, signature: Mapping[str, Any]) -> bool:
        """A message is about to be published: when it gets lost, it is published again.

        :param task: its task's name: what is sent later and begins earlier has overtaken it.
        :returns: False when it is known already, or even done.
        """
        packed = pack(dict(signature))
        answer = self._run("transfer", "expect", task_id, "", packed, EXPECTED_SECONDS, task)
        return bool(answer[0] == b"expected")

    def forget_transfer(self, task_id: str) -> None:
        """Its message could not even be made: there is nothing to publish again."""
        self._run("transfer", "forget", task_id, "")

    def revoke_transfer(self, task_id: str) -> bool:
        """It was revoked the Celery way: woken once more, so that a worker writes that down."""
        return bool(self._run("transfer", "revoke", task_id, "")[0] == b"revoked")

    def begin_transfer(self, task_id: str, run: str, signature: Mapping[str, Any]) -> Begun:
        """Take the lease, for one attempt."""
        return begun_of(
            self._run(
                "transfer", "begin", task_id, run, pack(dict(signature)), TRANSFER_LEASE_SECONDS
            )
        )

    def keep_transfer(self, task_id: str, run: str) -> bool:
        """Heartbeat; False when somebody else has it."""
        return bool(
            self._run("transfer", "keep", task_id, run, TRANSFER_LEASE_SECONDS)[0] == b"kept"
        )

    def retry_transfer(self, task_id: str, run: str, seconds: float) -> float | None:
        """The attempt failed: try again after that many seconds. Answers when."""
        answer = self._run("transfer", "again", task_id, run, seconds)
        return float(answer[1]) if answer[0] == b"again" else None

    def end_transfer(
        self, task_id: str, run: str, result: Mapping[str, Any], *, ttl_seconds: int
    ) -> bool:
        """It is done, or given up; repeated messages are ignored from now on."""
        answer = self._run("transfer", "end", task_id, run, json.dumps(result), ttl_seconds)
        return bool(answer[0] == b"ended")

    def record_files(self, task_id: str, files: Sequence[File]) -> None:
        """What ``download`` stored of a generation."""
        text = json.dumps([asdict(item) for item in files], ensure_ascii=False)
        self._run("files", task_id, text, len(files))

    def transfer_result(self, task_id: str) -> dict[str, Any] | None:
        """What a download or notification came to, if it ended."""
        text = self.redis.get(f"{self.prefix}done:{task_id}")
        return None if text is None else json.loads(text)
