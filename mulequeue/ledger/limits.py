"""The limits on a profile's submissions, and pausing them by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from mulequeue.catalog.usd import usd_of_micros
from mulequeue.ledger.keyspace import Part, texts
from mulequeue.ledger.metrics import split_scope
from mulequeue.ledger.types import Effects

_DAY_SECONDS = 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopePause:
    """A pause of one model, one key or one worker in a profile."""

    scope: str
    """The model's api_path without ``/vendors/``, ``key <fingerprint>`` or ``worker <name>``."""
    until: float
    """Unix seconds of Redis' clock."""
    reason: str

    @property
    def kind(self) -> str:
        """Return ``model``, ``key`` or ``worker``."""
        return scope_kind(self.scope)


def scope_kind(scope: str) -> str:
    """Return the kind of a scope: ``model``, ``key`` or ``worker``."""
    kind, separator, _ = scope.partition(" ")
    return kind if separator else "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionStatus:
    """The submissions of a profile. Times are unix seconds of Redis' clock."""

    profile: str
    paused_since: float | None
    """Time at which it was paused by hand; None: it is not paused by hand."""
    paused_until: float | None
    """Time at which the pause ends that followed rejected or unanswered create requests; None: there is none."""
    reason: str | None
    """The reason of the pause until ``paused_until``."""
    scopes: tuple[ScopePause, ...]
    """The pauses of parts of the profile."""
    in_flight: int
    today: int
    """Generations that count on today's budget."""
    today_usd: Decimal
    """Their estimated cost in US dollars, as far as prices are known."""
    has_waiting: bool
    """Generations wait to be submitted."""
    in_flight_by_key: tuple[int, ...] = ()
    """Number of generations in flight, for each fair key that has any."""

    def reasons(self, path: str | None = None) -> list[str]:
        """Return why submissions are paused, except by hand; empty if they are not.

        :param path: of a model, to leave out the pauses of other models; None: the reasons of all pauses.
        """
        found = [self.reason or ""] if self.paused_until is not None else []
        for pause in self.scopes:
            if path is None or pause.kind != "model" or pause.scope == path:
                found.append(f"{pause.reason} ({pause.scope})")
        return list(dict.fromkeys(found))


class SubmissionLimits(Part):
    """Pauses by hand, and the state of each profile."""

    def pause_submissions(self, profile: str) -> bool:
        """Pause the submissions of a profile, fleet-wide; return False if they were already paused by hand."""
        return bool(self._keys.run("pause", what="hold", profile=profile)[0])

    def resume_submissions(self, profile: str) -> tuple[bool, Effects]:
        """End all pauses of a profile's submissions; return whether there was one, and the effects."""
        answer = self._keys.run("pause", what="release", profile=profile)
        return bool(answer[0]), Effects.of(answer)

    def submission_statuses(self, profiles: Sequence[str]) -> list[SubmissionStatus]:
        """Return the state of these profiles, in that order; two round trips."""
        now, prefix = self._keys.now(), self._prefix
        scopes = self._scopes(now)

        def send(pipe: Any, name: str) -> None:
            pipe.hgetall(f"{prefix}gate:{name}")
            pipe.hmget(f"{prefix}day:{name}:{int(now // _DAY_SECONDS)}", ["total", "usd"])
            pipe.exists(f"{prefix}groups:{name}")
            pipe.hvals(f"{prefix}keys:{name}")

        found = []
        for name, [gate, today, waiting, by_key] in self._keys.send_for_each(profiles, send):
            fields = texts(gate)
            until = float(fields.get("until", 0))
            status = SubmissionStatus(
                profile=name,
                paused_since=float(fields["held"]) if "held" in fields else None,
                paused_until=until if until > now else None,
                reason=fields.get("reason"),
                scopes=scopes.get(name, ()),
                in_flight=int(fields.get("slots", 0)),
                today=int(today[0] or 0),
                today_usd=usd_of_micros(int(today[1] or 0)),
                has_waiting=bool(waiting),
                in_flight_by_key=tuple(map(int, by_key)),
            )
            found.append(status)
        return found

    def all_reasons(self) -> list[str]:
        """Return why submissions of any profile are paused."""
        prefix, now = self._prefix, self._keys.now()
        pauses = texts(self._redis.hgetall(f"{prefix}pauses"))
        found = [
            "an operator has paused submissions" for name in pauses if name.startswith("held:")
        ]
        profiles = [name.removeprefix("gate:") for name in pauses if name.startswith("gate:")]
        profiles += self._scopes(now)
        for status in self.submission_statuses(list(dict.fromkeys(profiles))):
            found += status.reasons()
        return list(dict.fromkeys(found))

    def _scopes(self, now: float) -> dict[str, tuple[ScopePause, ...]]:
        """Return the pauses of models, keys and workers, by profile."""
        prefix, redis = self._prefix, self._redis
        members: list[tuple[bytes, float]] = redis.zrangebyscore(  # type: ignore[assignment]
            f"{prefix}scopes", now, "+inf", withscores=True
        )

        def send(pipe: Any, member: tuple[bytes, float]) -> None:
            profile, scope = split_scope(member[0])
            pipe.hget(f"{prefix}gate:{profile}:{scope}", "reason")

        found: dict[str, tuple[ScopePause, ...]] = {}
        for (name, until), [reason] in self._keys.send_for_each(members, send):
            profile, scope = split_scope(name)
            pause = ScopePause(scope=scope, until=until, reason=(reason or b"").decode())
            found[profile] = (*found.get(profile, ()), pause)
        return found
