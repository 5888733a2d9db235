"""What a sweep claims, what it writes back, and the message that starts the next one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from mulequeue.ledger.types import Wake


class Due(NamedTuple):
    """A status check to make. A tuple, because thousands are made per second."""

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
    """A :class:`~mulequeue.ledger.problem.Problem` as its record keeps it; empty: none."""


Reschedule = tuple[str, float, int, int] | tuple[str, float, int, int, str]
"""The result of a status check that settled nothing: task id, due time, checks to add, errors in a
row, and the problem if it has changed."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The due records that one claim took."""

    token: str
    now: float
    """Redis' clock."""
    unknown_key: str
    """Fingerprint and profile of a due record that this worker does not have, separated by a space; or
    empty."""
    polls: list[Due]
    wakes: list[Wake]
    examined: int
    """Entries of the due index that the claim read."""
    reopening: list[str]
    """Profiles whose checks are paused: the claimed ones are probes, and one answer resumes the checks."""
    is_mixed: bool = False
    """Some worker could not do what is woken, or returned such work lately."""


@dataclass(frozen=True, slots=True)
class PollMessage:
    """A poll message to publish."""

    token: str
    due: float
    countdown: float
