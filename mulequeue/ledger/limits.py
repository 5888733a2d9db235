"""The limits on a profile's submissions, and pausing them by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mulequeue.ledger.keyspace import Keyspace, optional_time, texts
from mulequeue.ledger.types import Effects

_DAY_SECONDS = 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionStatus:
    """The submissions of a profile. Times are unix seconds of Redis' clock."""

    profile: str
    paused_since: float | None
    """Paused by hand since then; None: not paused by hand."""
    paused_until: float | None
    """The API rejected creates as too many: none is sent until then. None: not paused."""
    in_flight: int
    today: int
    """Generations that count on today's budget."""
    has_waiting: bool
    """Generations wait to be submitted."""


class SubmissionLimits:
    """Pauses by hand, and the state of each profile."""

    def __init__(self, keys: Keyspace) -> None:
        self._keys = keys

    def pause_submissions(self, profile: str) -> bool:
        """Pause the submissions of a profile, fleet-wide; False if they were paused before."""
        return bool(self._keys.run("pause", "hold", profile)[1])

    def resume_submissions(self, profile: str) -> tuple[bool, Effects]:
        """Resume the submissions of a profile; return whether they were paused by hand."""
        answer = self._keys.run("pause", "release", profile)
        return bool(answer[1]), Effects(poll_by=optional_time(answer[2]))

    def submission_statuses(self, profiles: Sequence[str]) -> list[SubmissionStatus]:
        """Return the state of these profiles, in that order; one round trip."""
        now, prefix = self._keys.now(), self._keys.prefix
        pipe = self._keys.redis.pipeline(transaction=False)
        for name in profiles:
            pipe.hgetall(f"{prefix}gate:{name}")
            pipe.hget(f"{prefix}day:{name}:{int(now // _DAY_SECONDS)}", "total")
            pipe.exists(f"{prefix}groups:{name}")
        answers = pipe.execute()
        return [
            _submission_status(name, texts(gate), int(today or 0), bool(waiting), now)
            for name, gate, today, waiting in zip(
                profiles, answers[::3], answers[1::3], answers[2::3], strict=True
            )
        ]


def _submission_status(
    name: str, fields: dict[str, str], today: int, has_waiting: bool, now: float
) -> SubmissionStatus:
    until = float(fields.get("until", 0))
    return SubmissionStatus(
        profile=name,
        paused_since=float(fields["held"]) if "held" in fields else None,
        paused_until=until if until > now else None,
        in_flight=int(fields.get("slots", 0)),
        today=today,
        has_waiting=has_waiting,
    )
