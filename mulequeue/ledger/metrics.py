"""Counters for the exporter: one hash, written by the scripts and by every process.

A field is a name and its labels, separated by tabs: ``outcomes<tab>alibaba/v1/…<tab>succeeded``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from mulequeue.ledger.keyspace import Part, texts

SEPARATOR = "\t"
_HELD = "held:"
LATE_SECONDS = (3, 10, 60)
"""Delays beyond which due entries are counted."""

Series = dict[tuple[str, ...], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The data of one scrape: two round trips, independent of the number of records."""

    counted: Mapping[str, Series]
    """Name -> labels -> value."""
    counts: Mapping[str, int]
    """The fleet's totals by bucket."""
    webhooks: Mapping[str, int]
    """Events by result: known, early, other, repeated."""
    pauses: Mapping[str, float]
    """``gate:<profile>`` (submissions) or ``pollgate:<profile>`` (status checks) -> seconds left."""
    scopes: Mapping[tuple[str, str], float]
    """Profile and scope of a pause of a part of its submissions -> seconds left."""
    held: frozenset[str]
    """Profiles whose submissions were paused by hand."""
    due: int
    """Entries of the due index."""
    lateness_seconds: float
    """Delay of the most overdue entry; 0 if none is overdue."""
    late: Mapping[int, int]
    """Delay in seconds -> entries that are overdue by more."""


class MetricsStore(Part):
    """The counters of all processes, in the hash ``metrics``, and the figures that the exporter reads."""

    def add_counts(self, amounts: Mapping[tuple[str, ...], float]) -> None:
        """Add the amounts that a process counted in memory, in one round trip.

        :param amounts: (name, label, …) -> amount; integers stay integers.
        """
        pipe = self._redis.pipeline(transaction=False)
        key = f"{self._prefix}metrics"
        for parts, amount in amounts.items():
            name = SEPARATOR.join(part.replace(SEPARATOR, " ") for part in parts)
            if isinstance(amount, int):
                pipe.hincrby(key, name, amount)
            else:
                pipe.hincrbyfloat(key, name, amount)
        pipe.execute()

    def counters(self) -> dict[str, Series]:
        """Return all counters, by name and labels."""
        return _series(texts(self._redis.hgetall(f"{self._prefix}metrics")))

    def snapshot(self) -> Snapshot:
        """Return the data of one scrape."""
        now = self._keys.now()
        due = f"{self._prefix}due"
        pipe = self._redis.pipeline(transaction=False)
        for name in ("metrics", "counts", "webhooks", "pauses"):
            pipe.hgetall(f"{self._prefix}{name}")
        pipe.zrange(f"{self._prefix}scopes", 0, -1, withscores=True)
        pipe.zcard(due)
        pipe.zrange(due, 0, 0, withscores=True)
        for late in LATE_SECONDS:
            pipe.zcount(due, "-inf", now - late)
        counted, counts, webhooks, pauses, scopes, size, head, *late_counts = pipe.execute()
        return Snapshot(
            counted=_series(texts(counted)),
            counts={name: int(value) for name, value in texts(counts).items()},
            webhooks={name: int(value) for name, value in texts(webhooks).items()},
            pauses={
                name: max(float(until) - now, 0.0)
                for name, until in texts(pauses).items()
                if not name.startswith(_HELD)
            },
            scopes={split_scope(member): max(float(until) - now, 0.0) for member, until in scopes},
            held=frozenset(
                name.removeprefix(_HELD) for name in texts(pauses) if name.startswith(_HELD)
            ),
            due=int(size),
            lateness_seconds=max(now - float(head[0][1]), 0.0) if head else 0.0,
            late=dict(zip(LATE_SECONDS, map(int, late_counts), strict=True)),
        )


def split_scope(member: bytes) -> tuple[str, str]:
    """Return the profile and the scope in a member of the set ``scopes``."""
    profile, _, scope = member.decode().partition(SEPARATOR)
    return profile, scope


def _series(fields: Mapping[str, str]) -> dict[str, Series]:
    found: dict[str, Series] = defaultdict(dict)
    for text, value in fields.items():
        name, *labels = text.split(SEPARATOR)
        found[name][tuple(labels)] = float(value)
    return found
