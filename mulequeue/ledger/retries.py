"""Generations that run again under their own task id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mulequeue.ledger.keyspace import Part
from mulequeue.ledger.records import Record
from mulequeue.ledger.types import Effects


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """A generation that runs again."""

    record: Record
    """The record as it was read; if it has changed since, the retry has no effect."""
    epoch: str
    message: bytes
    """The signature with the input and the new epoch."""
    profile: str


class Retries(Part):
    """The messages that are kept for a retry, and the transition that uses them."""

    def messages(self, records: Sequence[Record]) -> list[bytes | None]:
        """Return the message of each record, with the input; None: no such message is kept."""
        prefix = self._prefix
        found = self._keys.send_for_each(
            records,
            lambda pipe, record: pipe.mget(
                [f"{prefix}call:{record.task_id}", f"{prefix}parked:{record.task_id}"]
            ),
        )
        # Once an id is recorded, the parked message has no input.
        return [
            call or (parked if record.remote_id is None else None)
            for record, [(call, parked)] in found
        ]

    def retry(self, retries: Iterable[Retry], *, ttl_seconds: int) -> tuple[set[str], Effects]:
        """Put generations back to waiting, each under a new epoch.

        :param ttl_seconds: how long the remote id of the earlier attempt is kept.
        :returns: the task ids that wait again; the others have changed since they were read.
        """

        def send(pipe: Any, item: Retry) -> None:
            self._keys.run(
                "retry",
                task_id=item.record.task_id,
                epoch=item.record.epoch,
                status=item.record.status,
                remote_id=item.record.remote_id,
                new_epoch=item.epoch,
                message=item.message,
                profile=item.profile,
                ttl=ttl_seconds,
                pipe=pipe,
            )

        done, effects = set(), []
        for item, [answer] in self._keys.send_for_each(retries, send):
            if answer[0]:
                done.add(item.record.task_id)
                effects.append(Effects.of(answer))
        return done, Effects.merge(effects)
