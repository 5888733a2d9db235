"""Generations that run again under their own task id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mulequeue.ledger.keyspace import Keyspace, optional_time
from mulequeue.ledger.records import Record
from mulequeue.ledger.types import Effects

_SLICE = 200
"""Records per round trip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """A generation that runs again."""

    record: Record
    """As it was read; the retry changes nothing if it has changed since."""
    epoch: str
    message: bytes
    """The signature with the input, of that epoch."""
    profile: str

    def arguments(self) -> tuple[str | bytes, ...]:
        """Return the arguments of the script, up to the time that ids are kept."""
        known = self.record
        seen = (known.task_id, known.epoch, known.status or "", known.remote_id or "")
        return (*seen, self.epoch, self.message, self.profile)


class Retries:
    """The messages that are kept for a retry, and the transition that uses them."""

    def __init__(self, keys: Keyspace) -> None:
        self._keys = keys

    def messages(self, records: Sequence[Record]) -> list[bytes | None]:
        """Return the message of each record with its input; None: it is not kept."""
        found: list[bytes | None] = []
        for start in range(0, len(records), _SLICE):
            part = records[start : start + _SLICE]
            pipe = self._keys.redis.pipeline(transaction=False)
            for record in part:
                pipe.mget([f"{self._keys.prefix}{kind}:{record.task_id}" for kind in _KINDS])
            for record, (call, parked) in zip(part, pipe.execute(), strict=True):
                # Once an id is recorded, the parked message has no input.
                found.append(call or (parked if record.remote_id is None else None))
        return found

    def retry(self, retries: Iterable[Retry], *, ttl_seconds: int) -> tuple[set[str], Effects]:
        """Put generations back to waiting, each under a new epoch.

        :param ttl_seconds: how long the remote id of the earlier attempt is kept.
        :returns: the task ids that wait again; the others have changed since they were read.
        """
        given, effects, done = list(retries), [], set()
        for start in range(0, len(given), _SLICE):
            part = given[start : start + _SLICE]
            pipe = self._keys.redis.pipeline(transaction=False)
            for item in part:
                self._keys.run("retry", *item.arguments(), ttl_seconds, pipe=pipe)
            for item, answer in zip(part, pipe.execute(), strict=True):
                if answer[0]:
                    done.add(item.record.task_id)
                    effects.append(Effects(poll_by=optional_time(answer[1])))
        return done, Effects.merge(effects)


_KINDS = ("call", "parked")
