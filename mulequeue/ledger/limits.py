"""Gates: what a profile's submissions may do, by its limits and by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mulequeue.ledger.keyspace import Keyspace
from mulequeue.ledger.types import texts
from mulequeue.settings.profiles import Limits, Profile

_DAY_SECONDS = 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionStatus:
    """How the submissions of a profile stand. Times are unix seconds of Redis' clock."""

    profile: str
    paused_since: float | None
    """Paused by hand since then; None: not paused by hand."""
    paused_until: float | None
    """The API refused creates as too many: nothing is sent until then. None: it is not so."""
    in_flight: int
    today: int
    """Generations that count on today's budget."""
    has_waiting: bool
    """Somebody waits to be submitted."""


class SubmissionLimits(Keyspace):
    """Paused by hand, and what there is to see."""

    def pause_submissions(self, profile: str) -> bool:
        """Nothing of this profile is submitted any more, fleet-wide; False when it was so before."""
        return bool(self._run("pause", "hold", profile)[1])

    def resume_submissions(self, profile: str) -> tuple[bool, float | None]:
        """Submissions go on: whether they were held, and when to look at those that wait."""
        answer = self._run("pause", "release", profile)
        return bool(answer[1]), float(answer[2]) if answer[2] else None

    def submission_statuses(self, profiles: Sequence[str]) -> list[SubmissionStatus]:
        """How these profiles stand, in that order; one round trip."""
        seconds, micros = self.redis.time()
        now = float(seconds) + float(micros) / 1e6
        pipe = self.redis.pipeline(transaction=False)
        for name in profiles:
            pipe.hgetall(f"{self.prefix}gate:{name}")
            pipe.hget(f"{self.prefix}day:{name}:{int(now // _DAY_SECONDS)}", "total")
            pipe.exists(f"{self.prefix}groups:{name}")
        answers = pipe.execute()
        return [
            _submission_status(name, texts(gate), int(today or 0), bool(waited), now)
            for name, gate, today, waited in zip(
                profiles, answers[::3], answers[1::3], answers[2::3], strict=True
            )
        ]


def _submission_status(
    name: str, fields: dict[str, str], today: int, waited: bool, now: float
) -> SubmissionStatus:
    until = float(fields.get("until", 0))
    return SubmissionStatus(
        profile=name,
        paused_since=float(fields["held"]) if "held" in fields else None,
        paused_until=until if until > now else None,
        in_flight=int(fields.get("slots", 0)),
        today=today,
        has_waiting=waited,
    )


def limits_of(profile: Profile) -> dict[str, Any]:
    """The limits of a profile as the scripts read them."""
    models = {path: _limits(limits) for path, limits in profile.models.items()}
    return {"own": _limits(profile), "models": models}


def _limits(limits: Limits) -> dict[str, Any]:
    rates = {"1": limits.submissions_per_second, "60": limits.submissions_per_minute}
    found = {
        "in_flight": limits.max_in_flight,
        "rates": {window: most for window, most in rates.items() if most is not None} or None,
        "day": limits.max_per_day,
        "batch": limits.max_per_batch,
    }
    return {name: value for name, value in found.items() if value is not None}
