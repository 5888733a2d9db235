"""The poll loop: its message, its sweep, the claims of due records, pauses of status checks."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence

from mulequeue.ledger.encode_limits import encode_limits
from mulequeue.ledger.keyspace import Keyspace
from mulequeue.ledger.records import SCHEMA_VERSION
from mulequeue.ledger.types import Claim, Due, PollMessage, Wake, new_token
from mulequeue.settings.profiles import Profile

SWEEP_LEASE_SECONDS = 5.0
CLAIM_LEASE_SECONDS = 5.0
MAX_CLAIMED = 250
MAX_WAKES = 200


class Polling:
    """One poll message is valid at a time, and one sweep runs at a time."""

    def __init__(self, keys: Keyspace) -> None:
        self._keys = keys

    # -- the poll message and its sweep --------------------------------------------------------

    def schedule(self, due: float) -> PollMessage | None:
        """Return the message to publish for something due then; None if one arrives in time."""
        return _poll_message_of(self._keys.run("poll", "schedule", new_token(), due))

    def begin_sweep(self, token: str) -> bool:
        """Start a sweep if the message with this token is the valid one and no sweep runs."""
        return bool(self._keys.run("poll", "begin", token, SWEEP_LEASE_SECONDS))

    def renew_sweep(self, token: str) -> bool:
        """Renew the lease of a sweep that is still running."""
        return bool(self._keys.run("poll", "renew", token, SWEEP_LEASE_SECONDS))

    def end_sweep(
        self, token: str, *, gap_seconds: float, profiles: Iterable[str] = ()
    ) -> PollMessage | None:
        """End a sweep; return the next message, if the due index is not empty.

        :param gap_seconds: least time until then.
        :param profiles: if submissions of these wait for a place, the message is due earlier.
        """
        answer = self._keys.run("poll", "end", token, new_token(), gap_seconds, *profiles)
        return _poll_message_of(answer)

    def check_overdue(self) -> PollMessage | None:
        """Return a fresh message if something is overdue and no sweep runs."""
        return _poll_message_of(self._keys.run("poll", "watch", new_token()))

    # -- due records ---------------------------------------------------------------------------

    def claim(
        self,
        profiles: Iterable[Profile],
        *,
        token: str | None = None,
        former_fingerprints: Sequence[str] = (),
        limit: int = MAX_CLAIMED,
        wake_limit: int = MAX_WAKES,
        chance: float | None = None,
    ) -> Claim:
        """Take the records that are due, at most ``limit``; the claim lapses after its lease."""
        token = token or new_token()
        profiles = list(profiles)
        limits = {profile.name: encode_limits(profile) for profile in profiles}
        now, unknown, polls, wakes, examined, reopening = self._keys.run(
            "claim",
            token,
            limit,
            wake_limit,
            CLAIM_LEASE_SECONDS,
            SCHEMA_VERSION,
            json.dumps(limits),
            random.random() if chance is None else chance,
            *(p.fingerprint for p in profiles),
            *former_fingerprints,
        )
        return Claim(
            token=token,
            now=float(now),
            unknown_fingerprint=unknown.decode(),
            polls=[_due_of(row) for row in json.loads(polls)],
            wakes=[Wake(row[0].decode().removeprefix("transfer:"), row[1]) for row in wakes],
            examined=examined,
            reopening=[name.decode() for name in reopening],
        )

    def reschedule(self, token: str, rows: Iterable[tuple[str, float, int, int]]) -> int:
        """Release checked records: (task id, due, checks to add, errors in a row)."""
        rows = list(rows)
        return int(self._keys.run("reschedule", token, json.dumps(rows))) if rows else 0

    def renew(self, token: str, task_ids: Sequence[str]) -> None:
        """Renew the claims of checks that are still in progress."""
        if task_ids:
            self._keys.run("renew", token, CLAIM_LEASE_SECONDS, *task_ids)

    # -- outages -------------------------------------------------------------------------------

    def trip(self, profile: str, *, seconds: float | None, first: float, ceiling: float) -> float:
        """Pause the status checks of a profile; return until when.

        :param seconds: as the API asked; None: ``first``, doubled per pause in a row up to
            ``ceiling``.
        """
        given = "" if seconds is None else seconds
        return float(self._keys.run("circuit_breaker", "trip", profile, given, first, ceiling))

    def recover(self, profile: str) -> None:
        """Resume the status checks of a profile."""
        self._keys.run("circuit_breaker", "recover", profile, "", 0, 0)


def _poll_message_of(answer: Sequence[bytes]) -> PollMessage | None:
    if not answer:
        return None
    return PollMessage(answer[0].decode(), float(answer[1]), float(answer[2]))


def _due_of(row: Sequence[str]) -> Due:
    task_id, remote_id, path, profile, polls, errors, interval, submitted, started, deadline = row
    return Due(
        task_id,
        remote_id,
        path,
        profile,
        int(polls),
        int(errors),
        float(interval) if interval else None,
        float(submitted or 0),
        float(started or 0),
        float(deadline or 0),
    )
