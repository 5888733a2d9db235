"""The poll loop: its message, its sweep, the claims of due records, pauses of status checks."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from mulequeue.ledger.keyspace import Part, texts
from mulequeue.ledger.records import SCHEMA_VERSION
from mulequeue.ledger.types import Wake, encode_limits, new_token
from mulequeue.settings.profiles import Profile

SWEEP_LEASE_SECONDS = 5.0
CLAIM_LEASE_SECONDS = 5.0
MAX_CLAIMED = 250
MAX_WAKES = 200
ANSWERED_SECONDS = 120


class Due(NamedTuple):
    """A status check to make. It is a tuple, because thousands of them are created per second."""

    task_id: str
    remote_id: str
    path: str
    profile: str
    polls: int
    errors: int
    interval: float | None
    submitted: float
    started: float
    deadline: float
    problem: str = ""
    """A :class:`~mulequeue.ledger.records.Problem` as its record keeps it; empty: none."""


Reschedule = tuple[str, float, int, int] | tuple[str, float, int, int, str]
"""The result of a status check that settled nothing: task id, due time, checks to add, errors in a
row, and the problem if it has changed."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The result of one :meth:`Polling.claim`."""

    token: str
    now: float
    """Redis' clock."""
    unknown_key: str
    """Fingerprint and profile, separated by a space, of a due record whose key or profile this worker lacks;
    empty: there is none."""
    polls: list[Due]
    wakes: list[Wake]
    examined: int
    """Entries of the due index that the claim read."""
    reopening: list[str]
    """Profiles whose checks are paused: the claimed ones are probes, and one answer resumes the checks."""
    is_mixed: bool = False
    """A worker could not do the work that is woken now, or lately returned a grant that it could not submit."""


@dataclass(frozen=True, slots=True)
class PollMessage:
    """A poll message to publish."""

    token: str
    due: float
    countdown: float


class Polling(Part):
    """The ledger's calls for polling: the poll message, the sweep, claims of due records, pauses of status checks.

    One poll message is valid and one sweep runs at a time.
    """

    # -- the poll message and its sweep --------------------------------------------------------

    def schedule(self, due: float) -> PollMessage | None:
        """Return the message to publish for an entry that is due then; None if another one arrives in time."""
        return self._next_message("schedule", at=due)

    def begin_sweep(self, token: str) -> bool:
        """Start a sweep if the message with this token is the valid one and no sweep runs."""
        return bool(self._keys.run("poll", what="begin", token=token, lease=SWEEP_LEASE_SECONDS))

    def renew_sweep(self, token: str) -> bool:
        """Renew the lease of a sweep that is still running."""
        return bool(self._keys.run("poll", what="renew", token=token, lease=SWEEP_LEASE_SECONDS))

    def end_sweep(
        self, token: str, *, gap_seconds: float, profiles: Iterable[str] = ()
    ) -> PollMessage | None:
        """End a sweep; return the next message, if the due index is not empty.

        :param gap_seconds: least time until the message is due.
        :param profiles: the message is due earlier if waiting submissions of these profiles may be sent earlier.
        """
        return self._next_message("end", *profiles, token=token, gap=gap_seconds)

    def check_overdue(self) -> PollMessage | None:
        """Return a new message if an entry is overdue and no sweep runs."""
        return self._next_message("watch")

    def _next_message(self, what: str, *profiles: str, **args: Any) -> PollMessage | None:
        answer = self._keys.run("poll", *profiles, what=what, next_token=new_token(), **args)
        return PollMessage(answer[0].decode(), *map(float, answer[1:])) if answer else None

    # -- due records ---------------------------------------------------------------------------

    def claim(
        self,
        profiles: Iterable[Profile],
        *,
        token: str | None = None,
        checks: Mapping[str, int] | None = None,
        former_fingerprints: Sequence[str] = (),
        limit: int = MAX_CLAIMED,
        wake_limit: int = MAX_WAKES,
        chance: float | None = None,
    ) -> Claim:
        """Claim the due records, at most ``limit``; a claim lapses after :data:`CLAIM_LEASE_SECONDS`.

        :param checks: by profile, the most status checks to take; those beyond are left to other
            workers. None, or a profile that is missing: no limit.
        """
        token = token or new_token()
        profiles = list(profiles)
        limits = {profile.name: encode_limits(profile) for profile in profiles}
        for profile in profiles:
            if profile.api_key:
                limits[profile.name]["key"] = profile.fingerprint
        for name, most in (checks or {}).items():
            limits[name]["checks"] = most
        now, unknown, polls, wakes, examined, reopening, is_mixed = self._keys.run(
            "claim",
            *former_fingerprints,
            token=token,
            limit=limit,
            wake_limit=wake_limit,
            lease=CLAIM_LEASE_SECONDS,
            version=SCHEMA_VERSION,
            profiles=json.dumps(limits),
            chance=random.random() if chance is None else chance,
        )
        return Claim(
            token=token,
            now=float(now),
            unknown_key=unknown.decode(),
            polls=[_due_of(row) for row in json.loads(polls)],
            wakes=[Wake(row[0].decode().removeprefix("transfer:"), row[1]) for row in wakes],
            examined=examined,
            reopening=[name.decode() for name in reopening],
            is_mixed=bool(is_mixed),
        )

    def reschedule(self, token: str, rows: Iterable[Reschedule]) -> int:
        """Set the time at which checked records are due again; return how many of them still had the claim."""
        rows = list(rows)
        if not rows:
            return 0
        return int(self._keys.run("reschedule", token=token, rows=json.dumps(rows)))

    def renew(self, token: str, task_ids: Sequence[str]) -> None:
        """Renew the claims of checks that are still in progress."""
        if task_ids:
            self._keys.run("renew", *task_ids, token=token, lease=CLAIM_LEASE_SECONDS)

    # -- outages -------------------------------------------------------------------------------

    def trip(
        self,
        profile: str,
        *,
        seconds: float | None,
        first: float,
        ceiling: float,
        reason: str = "",
        probe_seconds: float | None = None,
    ) -> float:
        """Pause the status checks of a profile; return the time at which the pause ends.

        :param seconds: as many as the API asked for; None: ``first``, doubled per pause in a row up to
            ``ceiling``.
        :param probe_seconds: after this time a generation without errors is checked as a probe; None:
            no check before the pause ends.
        """
        return float(
            self._keys.run(
                "circuit_breaker",
                profile=profile,
                seconds=seconds,
                first=first,
                ceiling=ceiling,
                reason=reason,
                probe_seconds=probe_seconds,
            )
        )

    def recover(self, profile: str) -> None:
        """Resume the status checks of a profile."""
        self._redis.delete(f"{self._prefix}pollgate:{profile}")

    def pause_of(self, profile: str) -> tuple[float, str] | None:
        """Return the end and the reason of the pause of a profile's status checks; None: they are not paused."""
        found = texts(self._redis.hgetall(f"{self._prefix}pollgate:{profile}"))
        until = float(found.get("until", 0))
        return (until, found.get("reason", "")) if until > self._keys.now() else None

    def record_answer(self, profile: str, process: str) -> None:
        """Record that a profile's API answered a process now."""
        key, now = f"{self._prefix}answered:{profile}", self._keys.now()
        pipe = self._redis.pipeline(transaction=False)
        pipe.zadd(key, {process: now})
        pipe.zremrangebyscore(key, "-inf", now - ANSWERED_SECONDS)
        pipe.expire(key, ANSWERED_SECONDS)
        pipe.execute()

    def answered_since(self, profile: str, since: float) -> list[str]:
        """Return the processes that a profile's API has answered after ``since`` (unix seconds)."""
        key = f"{self._prefix}answered:{profile}"
        found: list[bytes] = self._redis.zrangebyscore(key, since, "+inf")  # type: ignore[assignment]
        return [process.decode() for process in found]


def _due_of(row: Sequence[str]) -> Due:
    task_id, remote_id, path, profile, polls, errors, interval, *times, problem = row
    submitted, started, deadline = (float(at or 0) for at in times)
    return Due(
        *(task_id, remote_id, path, profile, int(polls), int(errors)),
        *(float(interval) if interval else None, submitted, started, deadline, problem),
    )
