"""The arguments and answers of the ledger's transitions."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from mulequeue.ledger.records import SCHEMA_VERSION, Record
from mulequeue.outcome import OUTCOME_STATUSES
from mulequeue.settings.profiles import Profile

# Redis stores a small hash in half the memory if no value of it is longer.
MAX_BYTES = 64


def new_token() -> str:
    """Return a fresh token: of a run, a claim, an epoch or a poll message."""
    return secrets.token_hex(6)


# -- after a transition ------------------------------------------------------------------------


class Wake(NamedTuple):
    """A parked task to be re-enqueued."""

    task_id: str
    signature: bytes
    """As :func:`~mulequeue.ledger.serialization.pack` wrote it."""


@dataclass(frozen=True, slots=True)
class Effects:
    """The messages that a transition requires; ``WorkerContext.carry_out`` publishes them."""

    wakes: tuple[Wake, ...] = ()
    poll_by: float | None = None
    """Unix seconds: a poll message is needed by then. None: one is on its way, or none is needed."""

    def __bool__(self) -> bool:
        """Return whether there is anything to publish."""
        return bool(self.wakes) or self.poll_by is not None

    @classmethod
    def merge(cls, several: Iterable[Effects]) -> Effects:
        """Return the effects of several transitions as one."""
        found = list(several)
        times = [effects.poll_by for effects in found if effects.poll_by is not None]
        wakes = tuple(wake for effects in found for wake in effects.wakes)
        return cls(wakes, min(times, default=None))


class Action(StrEnum):
    """The next step of a delivery of ``generate``."""

    SUBMIT = "submit"
    """The intent is written: send the create request."""
    DELIVER = "deliver"
    """Return the outcome."""
    PARKED = "parked"
    """Ignore: the task waits in the ledger."""
    WAKE = "wake"
    """Ignore: the task was settled at once."""
    DUPLICATE = "duplicate"
    """Ignore: a second message of the same task id, or a redelivery by the broker."""
    STALE = "stale"
    """Ignore: the message belongs to an earlier epoch of the record."""
    BUSY = "busy"
    """Ignore: another delivery has the record."""
    ABANDONED = "abandoned"
    """Ignore: delivering the outcome failed too often."""


class RecordIdResult(StrEnum):
    """The result of recording a billed id."""

    GENERATING = "generating"
    KNOWN = "known"
    """The id had been recorded before."""
    CANCELLED = "cancelled"
    ATTACHED = "attached"
    """An outcome had been delivered: the id is kept for ``resume``."""


class LeaseResult(StrEnum):
    """The permission of an attempt of a download or notification."""

    RUN = "run"
    DONE = "done"
    BUSY = "busy"


class EventResult(StrEnum):
    """The result of recording a webhook event."""

    KNOWN = "known"
    """It ends a generation of this fleet."""
    EARLY = "early"
    """Its id is not recorded yet: the event is kept until it is."""
    OTHER = "other"
    """It ends no generation."""
    REPEATED = "repeated"


# -- a delivery of generate --------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """The generation that a delivery of ``generate`` wants to submit, as its record keeps it."""

    task_id: str
    run: str
    """The token of this execution: a repeated call with it gets the same answer."""
    profile: Profile
    path: str
    """The api_path without ``/vendors/``."""
    signature: Mapping[str, Any]
    digest: str
    epoch: str = field(default_factory=new_token)
    marker: str = ""
    """The epoch that a wake wrote into the message; empty in a message from the user."""
    model: str | None = None
    kind: str | None = None
    label: str = ""
    batch_id: str | None = None
    batch_size: int | None = None
    interval: float | None = None
    refusal: Mapping[str, Any] | None = None
    """``{"error": {…}}`` of an input that cannot be sent: the record is settled at once."""

    def fields(self) -> list[str]:
        """Return the record's constant fields, as name, value, …"""
        values = {
            "v": str(SCHEMA_VERSION),
            "key": self.profile.fingerprint,
            "path": self.path,
            "base_url": self.profile.base_url,
            "model": self.model,
            "kind": self.kind,
            "label": self.label.encode()[:MAX_BYTES].decode(errors="ignore"),
            "batch": self.batch_id,
            "interval": None if self.interval is None else repr(self.interval),
        }
        return [part for name, value in values.items() if value for part in (name, value)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The ledger's answer to a delivery."""

    action: Action
    effects: Effects = Effects()
    record: Record | None = None
    """With ``deliver``."""
    is_same_input: bool = True
    """With ``duplicate``."""
    state: str | None = None
    """With ``duplicate``: the record's state."""


class Recorded(NamedTuple):
    """The ledger's answer to a billed id."""

    result: RecordIdResult
    effects: Effects
    webhook_arrived: bool
    """A webhook has already reported the end of this generation."""


class Begun(NamedTuple):
    """The ledger's answer to an attempt of a download or notification."""

    result: LeaseResult
    attempt: int = 0
    """Its number, from 1."""
    elapsed_seconds: float = 0.0
    """Since the first attempt began."""
    effects: Effects = Effects()


# -- polling -----------------------------------------------------------------------------------


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


class DurationSample(NamedTuple):
    """The duration of a generation, in seconds: at least ``low``, at most ``high``."""

    low: float
    high: float
    """Equal to ``low`` if the duration is known exactly."""
    weight: float = 1
    """Number of generations that the sample represents."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The due records that one claim took."""

    token: str
    now: float
    """Redis' clock."""
    unknown_fingerprint: str
    """Of a due record whose key this worker does not have, or empty."""
    polls: list[Due]
    wakes: list[Wake]
    examined: int
    """Entries of the due index that the claim read."""
    reopening: list[str]
    """Profiles whose checks were paused: the result of this claim's one check resumes them."""


@dataclass(frozen=True, slots=True)
class PollMessage:
    """A poll message to publish."""

    token: str
    due: float
    countdown: float


# -- batches -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The progress of a batch."""

    batch_id: str
    size: int
    """Members."""
    counts: Mapping[str, int]
    """Members that are waiting, submitting, generating, or have each outcome."""
    files: int
    """Stored assets."""
    downloaded: int
    """Members whose download is done."""
    is_cancelled: bool
    """Members that have not begun yet never will."""
    created: float
    """When the first member reached a worker; unix seconds of Redis' clock."""

    @property
    def over(self) -> int:
        """Members that have an outcome."""
        return sum(self.counts.get(name, 0) for name in OUTCOME_STATUSES)
