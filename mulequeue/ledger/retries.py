"""Generations that run again under their own task id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mulequeue.ledger.keyspace import Keyspace, optional_time
from mulequeue.ledger.records import Record
from mulequeue.ledger.types import Effects


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """A generation that runs again."""

    record: Record
    """As it was read; the retry changes nothing if it has changed since."""
    epoch: str
    message: bytes
    """The signature with the input, of that epoch."""
    profile: str


class Retries:
    """The messages that are kept for a retry, and the transition that uses them."""

    def __init__(self, keys: Keyspace) -> None:
        self._keys = keys

    def messages(self, records: Sequence[Record]) -> list[bytes | None]:
        """Return the message of each record with its input; None: it is not kept."""
        prefix = self._keys.prefix
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
            known = item.record
            seen = (known.task_id, known.epoch, known.status, known.remote_id)
            given = (item.epoch, item.message, item.profile, ttl_seconds)
            self._keys.run("retry", *seen, *given, pipe=pipe)

        done, effects = set(), []
        for item, [answer] in self._keys.send_for_each(retries, send):
            if answer[0]:
                done.add(item.record.task_id)
                effects.append(Effects(poll_by=optional_time(answer[1])))
        return done, Effects.merge(effects)
