"""Webhooks in the ledger: what was seen, what came early, and for whom they come at all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from mulequeue.ledger.keyspace import Keyspace
from mulequeue.ledger.types import texts

SEEN_SECONDS = 3 * 24 * 3600
EARLY_SECONDS = 3600
WORKING_SECONDS = 600
"""So long after the last event webhooks count as working, unless a status check was faster."""


class WebhookEventStore(Keyspace):
    """What the receiver of webhooks writes, and the poll loop reads."""

    def record_event(
        self, event_id: str, remote_id: str | None = None, end: Mapping[str, Any] | None = None
    ) -> tuple[str, str | None]:
        """An event arrived.

        :param remote_id: of the generation that it ends; None: it ends none.
        :param end: what is kept when nobody knows that id yet.
        :returns: ``known`` and the task id; ``early``: kept for who records the id; ``other``:
            it ends no generation; ``repeated``: it was noted before.
        """
        text = json.dumps(end, ensure_ascii=False) if end else ""
        what, *task = self._run(
            "webhook", event_id, remote_id or "", text, SEEN_SECONDS, EARLY_SECONDS
        )
        return what.decode(), task[0].decode() if task and task[0] else None

    def forget_event(self, event_id: str) -> None:
        """It could not be dealt with: let it come again."""
        self.redis.delete(f"{self.prefix}event:{event_id}")

    def early_end(self, remote_id: str) -> dict[str, Any] | None:
        """What was told of a generation before its id was recorded."""
        text = self.redis.get(f"{self.prefix}early:{remote_id}")
        return None if text is None else json.loads(text)

    def webhook_counts(self) -> dict[str, int]:
        """How many events came: known, early (nobody knew the id), other, repeated."""
        found = texts(self.redis.hgetall(f"{self.prefix}webhooks"))
        return {name: int(count) for name, count in found.items()}

    # -- do they come? ---------------------------------------------------------------------

    def record_webhook(self, profile: str, at: float) -> None:
        """One told of a generation of this profile, at that time (unix seconds)."""
        self.redis.set(f"{self.prefix}webhooks:{profile}", f"{at:.3f}", ex=WORKING_SECONDS)

    def record_missed_webhook(self, profile: str) -> None:
        """A status check saw an end before any webhook told of it."""
        self.redis.delete(f"{self.prefix}webhooks:{profile}")

    def with_webhooks(self, profiles: Iterable[str]) -> set[str]:
        """The profiles that webhooks come for."""
        names = list(profiles)
        if not names:
            return set()
        found = self.redis.mget([f"{self.prefix}webhooks:{name}" for name in names])
        return {name for name, at in zip(names, found, strict=True) if at is not None}
