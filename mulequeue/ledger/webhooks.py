"""Webhooks in the ledger: events that arrived, early ends, and profiles that receive webhooks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from mulequeue.ledger.keyspace import Part, texts

SEEN_SECONDS = 3 * 24 * 3600
EARLY_SECONDS = 3600
WORKING_SECONDS = 600
"""Webhooks count as working for this long after the last event, unless a status check was faster."""


class EventResult(StrEnum):
    """The result of recording a webhook event."""

    KNOWN = "known"
    """It ends a generation of this fleet."""
    EARLY = "early"
    """Its id is not recorded yet: the event is kept until it is."""
    OTHER = "other"
    """It ends no generation."""
    REPEATED = "repeated"


class Webhooks(Part):
    """Written by the receiver of webhooks, read by the poll loop."""

    def record_event(
        self, event_id: str, remote_id: str | None = None, end: Mapping[str, Any] | None = None
    ) -> tuple[EventResult, str | None]:
        """Record an event; return the result, and the task id if the event ends a known generation.

        :param remote_id: of the generation that the event ends; None: it ends none.
        :param end: the end that the event reports; it is kept if ``remote_id`` is not recorded yet.
        """
        result, *task = self._keys.run(
            "webhook",
            event_id=event_id,
            remote_id=remote_id,
            report=json.dumps(end, ensure_ascii=False) if end else "",
            seen_seconds=SEEN_SECONDS,
            early_seconds=EARLY_SECONDS,
        )
        return EventResult(result.decode()), task[0].decode() if task else None

    def forget_event(self, event_id: str) -> None:
        """Forget an event that could not be processed, so that a repetition of it is accepted."""
        self._redis.delete(f"{self._prefix}event:{event_id}")

    def early_end(self, remote_id: str) -> dict[str, Any] | None:
        """Return the end that a webhook reported before the id was recorded."""
        text = self._redis.get(f"{self._prefix}early:{remote_id}")
        return None if text is None else json.loads(text)

    def counts(self) -> dict[str, int]:
        """Return the number of events per :class:`EventResult`."""
        found = texts(self._redis.hgetall(f"{self._prefix}webhooks"))
        return {name: int(count) for name, count in found.items()}

    # -- whether they arrive -------------------------------------------------------------------

    def record_webhook(self, profile: str, at: float) -> None:
        """Record that a webhook arrived for this profile, at that time (unix seconds)."""
        self._redis.set(f"{self._prefix}webhooks:{profile}", f"{at:.3f}", ex=WORKING_SECONDS)

    def record_missed_webhook(self, profile: str) -> None:
        """Record that a status check found an end that no webhook had reported."""
        self._redis.delete(f"{self._prefix}webhooks:{profile}")

    def working_profiles(self, profiles: Iterable[str]) -> set[str]:
        """Return the profiles for which webhooks count as working (:data:`WORKING_SECONDS`)."""
        names = list(profiles)
        if not names:
            return set()
        found = self._redis.mget([f"{self._prefix}webhooks:{name}" for name in names])
        return {name for name, at in zip(names, found, strict=True) if at is not None}
