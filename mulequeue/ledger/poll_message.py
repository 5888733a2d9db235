"""Who may sweep: one poll message, one lease, and the slots of helpers."""

from __future__ import annotations

from collections.abc import Iterable

from mulequeue.ledger.keyspace import Keyspace
from mulequeue.ledger.types import PollMessage, new_token, poll_message_of

SWEEP_LEASE_SECONDS = 5.0
MAX_HELPERS = 3
"""Sweeps beside the one that holds the lease, while it does not keep up."""
_HELPER = "helper:"


def is_helper(token: str) -> bool:
    """Whether a poll message is a helper's."""
    return token.startswith(_HELPER)


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

    # -- helpers -------------------------------------------------------------------------------

    def request_helper(
        self, following: PollMessage, *, most: int = MAX_HELPERS
    ) -> PollMessage | None:
        """A sweep ended behind: the message of one more helper, if a slot is free.

        :param following: what :meth:`end_sweep` answered, before it is published.
        """
        return self._helper("call", _HELPER + new_token(), following.token, most)

    def begin_helper(self, token: str) -> bool:
        """Whether the helper with this token may sweep: it was called just now."""
        return self._helper("join", token) is not None

    def end_helper(self, token: str, *, is_behind: bool) -> PollMessage | None:
        """A helper's sweep is over; its next message, if there is more than it could check."""
        return self._helper("leave", token, int(is_behind))

    def _helper(self, what: str, token: str, *args: str | int) -> PollMessage | None:
        found = self._run("sweep_helpers", what, token, *args)
        return PollMessage(found[0].decode(), 0.0, 0.0) if found else None
