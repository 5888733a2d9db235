"""Schedule the poll message, and lease the sweep that it starts."""

from __future__ import annotations

from collections.abc import Iterable

from mulequeue.ledger.keyspace import Keyspace
from mulequeue.ledger.types import PollMessage, new_token, poll_message_of

SWEEP_LEASE_SECONDS = 5.0


class PollMessageStore(Keyspace):
    """The poll message and the lease of the sweep it starts."""

    def schedule_poll(self, due: float) -> PollMessage | None:
        """Something was parked that is due then: the message to publish, if none comes in time."""
        return poll_message_of(self._run("poll", "schedule", new_token(), due))

    def begin_sweep(self, token: str) -> bool:
        """Whether the message with this token is the valid one and no sweep runs."""
        return bool(self._run("poll", "begin", token, SWEEP_LEASE_SECONDS))

    def renew_sweep(self, token: str) -> bool:
        """Keep the lease of a sweep that goes on."""
        return bool(self._run("poll", "renew", token, SWEEP_LEASE_SECONDS))

    def end_sweep(
        self, token: str, *, gap_seconds: float, profiles: Iterable[str] = ()
    ) -> PollMessage | None:
        """The sweep is over: the next message, if anything is due some day.

        :param gap_seconds: least time until then.
        :param profiles: whose submissions may wait for a place: for them it comes sooner.
        """
        return poll_message_of(self._run("poll", "end", token, new_token(), gap_seconds, *profiles))

    def check_overdue(self) -> PollMessage | None:
        """A fresh message when something is overdue and nobody looks at it."""
        return poll_message_of(self._run("poll", "watch", new_token()))
