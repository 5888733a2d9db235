"""What the ledger is asked, and what it answers."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from mulequeue.ledger.records import SCHEMA_VERSION, Record, read_record
from mulequeue.outcome import OUTCOME_STATUSES
from mulequeue.settings import Profile

# Redis keeps a small hash in half the memory as long as no value of it is longer.
MAX_BYTES = 64


def new_token() -> str:
    """A fresh token: of a run, a claim, an epoch or a poll message."""
    return secrets.token_hex(6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What a first delivery wants to do, and everything a record needs to know of it."""

    task_id: str
    run: str
    """This execution's own token: asking twice with it gets the same answer."""
    profile: Profile
    path: str
    """The api_path without ``/vendors/``."""
    signature: Mapping[str, Any]
    digest: str
    epoch: str = field(default_factory=new_token)
    marker: str = ""
    """The epoch a wake wrote into the message; empty in a message from the user."""
    model: str | None = None
    kind: str | None = None
    label: str = ""
    batch_id: str | None = None
    batch_size: int | None = None
    interval: float | None = None
    refusal: Mapping[str, Any] | None = None
    """``{"error": {…}}`` of an input that cannot be sent: the record is settled at once."""

    def fields(self) -> list[str]:
        """The record's constant fields, as name, value, …"""
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


class Action(StrEnum):
    """What a delivery has to do next."""

    SUBMIT = "submit"
    DELIVER = "deliver"
    PARKED = "parked"
    WAKE = "wake"
    DUPLICATE = "duplicate"
    STALE = "stale"
    BUSY = "busy"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a delivery is to do."""

    action: Action
    record: Record | None = None
    """With deliver."""
    wake: Wake | None = None
    """With wake."""
    poll_by: float | None = None
    """With parked, and with submit when others may go: when the ledger looks, unix seconds."""
    submitted: float | None = None
    """With submit: when the intent was written, unix seconds."""
    is_same_input: bool = True
    """With duplicate."""
    state: str | None = None
    """With duplicate: what the record is in."""


@dataclass(frozen=True, slots=True)
class Wake:
    """A parked task to be re-enqueued."""

    task_id: str
    signature: bytes
    poll_by: float | None = None
    """When one that waits may go instead of it, unix seconds: a poll message is needed by then."""


class Recorded(NamedTuple):
    """What became of a paid id."""

    result: str
    """generating, known (recorded before), cancelled, or attached (something was delivered already)."""
    wake: Wake | None
    """With cancelled."""
    poll_by: float | None
    """Unix seconds: a poll message is needed by then. None: one is on its way."""
    webhook_arrived: bool
    """A webhook has told already how it ended."""


class Begun(NamedTuple):
    """Whether an attempt of a transfer may run."""

    result: str
    """run, done or busy."""
    attempt: int = 0
    """Its number, from 1."""
    elapsed_seconds: float = 0.0
    """Since the first attempt began."""
    poll_by: float | None = None
    """As in :class:`Recorded`."""


class Due(NamedTuple):
    """One status check to make. A tuple, because thousands a second are made."""

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
    """What a claim brought."""

    token: str
    now: float
    """Redis' clock."""
    unknown_fingerprint: str
    """Of a due record that this worker holds no key for, or empty."""
    polls: list[Due]
    wakes: list[Wake]
    examined: int
    reopening: list[str]
    """Profiles whose checks were paused: what came of this claim's one check opens them again."""


@dataclass(frozen=True, slots=True)
class PollMessage:
    """A poll message to publish."""

    token: str
    due: float
    countdown: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Where a batch stands."""

    batch_id: str
    size: int
    """Members."""
    counts: Mapping[str, int]
    """waiting, submitting, generating, and the outcomes."""
    files: int
    """Assets that were stored."""
    downloaded: int
    """Members whose download is done."""
    is_cancelled: bool
    """Members that were not begun yet never will be."""
    created: float
    """Its first member came to a worker; unix seconds of Redis' clock."""

    @property
    def over(self) -> int:
        """Members that came to an outcome."""
        return sum(self.counts.get(name, 0) for name in OUTCOME_STATUSES)


def texts(fields: Mapping[Any, Any]) -> dict[str, str]:
    return {key.decode(): value.decode() for key, value in fields.items()}


COUNTED = ("waiting", "submitting", "generating", *OUTCOME_STATUSES)
"""What a record counts as: each is in one of these."""


def counts_of(fields: Mapping[str, str]) -> dict[str, int]:
    names = (*COUNTED, "files", "downloaded")
    return {name: int(fields.get(name, 0)) for name in names if name in fields}


def poll_message_of(answer: Sequence[bytes]) -> PollMessage | None:
    if not answer:
        return None
    return PollMessage(answer[0].decode(), float(answer[1]), float(answer[2]))


def due_of(row: Sequence[str]) -> Due:
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


def wake_of(task_id: str, answer: Sequence[Any]) -> Wake | None:
    """Of ``[signature, when to look]``, either of which may be missing."""
    if not answer or not answer[0]:
        return None
    return Wake(task_id, answer[0], _optional_time(answer[1:]))


def recorded_of(task_id: str, answer: Sequence[Any]) -> Recorded:
    what, signature, room, look, is_told = answer
    wake = wake_of(task_id, (signature, room))
    return Recorded(what.decode(), wake, _optional_time((look,)), bool(is_told))


def begun_of(answer: Sequence[Any]) -> Begun:
    what = answer[0].decode()
    if what != "run":
        return Begun(what)
    return Begun(what, int(answer[1]), float(answer[2]), _optional_time(answer[3:]))


def _optional_time(answer: Sequence[bytes]) -> float | None:
    return float(answer[0]) if answer and answer[0] else None


def verdict_of(task_id: str, answer: Sequence[Any]) -> Verdict:
    action = Action(answer[0].decode())
    if action == Action.SUBMIT:
        return Verdict(
            action=action, submitted=float(answer[1]), poll_by=_optional_time(answer[2:])
        )
    if action == Action.DELIVER:
        pairs = answer[1]
        fields = texts(dict(zip(pairs[::2], pairs[1::2], strict=True)))
        return Verdict(action=action, record=read_record(task_id, fields, answer[2], answer[3]))
    if action == Action.PARKED:
        return Verdict(action=action, poll_by=_optional_time(answer[1:]))
    if action == Action.WAKE:
        return Verdict(action=action, wake=wake_of(task_id, answer[1:]))
    if action == Action.DUPLICATE:
        return Verdict(action=action, state=answer[1].decode(), is_same_input=bool(answer[2]))
    return Verdict(action=action)
