"""The arguments and answers of the ledger's transitions."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from mulequeue.catalog.usd import micros_of
from mulequeue.ledger.keyspace import optional_time
from mulequeue.ledger.records import SCHEMA_VERSION, Record
from mulequeue.settings.profiles import Limits, Profile

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
    def of(cls, answer: Sequence[Any], task_id: str = "") -> Effects:
        """Return the effects in a script's answer: a wake's signature is the second part, ``poll_by`` the third."""
        _, signature, poll_by, *_ = (*answer, b"", b"", b"")
        wakes = (Wake(task_id, signature),) if signature else ()
        return cls(wakes, optional_time(poll_by))

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
    """Ignore: there is an outcome already, and the task was woken at once."""
    DUPLICATE = "duplicate"
    """Ignore: a second message of the same task id, or a redelivery by the broker."""
    ATTACHED = "attached"
    """Ignore: the message is of another canvas of the task id; it is parked, and woken when the first one is."""
    FULL = "full"
    """Ignore: the task id has too many canvases."""
    STALE = "stale"
    """Ignore: the message belongs to an earlier epoch of the record."""
    BUSY = "busy"
    """Ignore: another delivery has the lease of the record."""
    ABANDONED = "abandoned"
    """Ignore: delivering the outcome failed too often."""


class RecordIdResult(StrEnum):
    """The ledger's answer when the API's id of a billed generation is recorded."""

    GENERATING = "generating"
    KNOWN = "known"
    """The id had been recorded before."""
    CANCELLED = "cancelled"
    """The task was cancelled; the id is kept."""
    ATTACHED = "attached"
    """An outcome had been delivered: the id is kept for ``resume``."""


class CancelScope(StrEnum):
    """The generations that a cancel ends."""

    ALL = ""
    WAITING = "waiting"
    """Those whose create request was not sent."""
    EXPIRED = "expired"
    """Waiting ones, except retried ones: their batch has expired, and they fail with the reason of their wait."""


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
    metadata: str = ""
    """JSON of the caller's own data, or an empty text."""
    fair_key: str = ""
    """The key by which it takes turns while it waits; empty: it takes turns by its batch."""
    tail: str | None = None
    """Digest of the tasks that follow; empty: no task follows. None in the message of a wake."""
    expires: float | None = None
    """Unix seconds after which it must not be submitted; None: it does not expire."""
    worker: str = ""
    """Name of the worker that runs this delivery."""
    usd_micros: int | None = None
    """The estimated cost in millionths of a US dollar; None: unknown."""
    price_line: str = ""
    """The line of the configuration that would set the price of the model."""
    fault: str = ""
    """Why this worker cannot submit for the profile; other workers may."""
    queued_seconds: float | None = None
    """How long the message was in the broker, by the clocks of sender and worker; None: not known."""
    trace: str = ""
    """The W3C ``traceparent`` of this delivery; empty if it is not traced, and in the message of a wake."""
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
            "tail": None if self.tail is None else self.tail or "none",
            "metadata": self.metadata,
            "fair_key": self.fair_key,
            "interval": None if self.interval is None else repr(self.interval),
            "times": _queued_text(self.queued_seconds),
            "trace": self.trace,
            "expires": None if self.expires is None else f"{self.expires:.3f}",
        }
        return [part for name, value in values.items() if value for part in (name, value)]


def _queued_text(seconds: float | None) -> str | None:
    """Return the first moment of a timeline (:mod:`.timeline`): how long the message was in the broker."""
    return None if seconds is None else f"q{max(0, round(seconds * 1000)):x}"


def encode_limits(profile: Profile) -> dict[str, Any]:
    """Return the limits of a profile as the scripts read them (``admission.lua``)."""
    by_key = {
        "key_in_flight": profile.max_in_flight_per_fair_key,
        "key_usd_day": _micros(profile.max_usd_per_day_per_fair_key),
    }
    models = {path: _encode(limits) for path, limits in profile.models.items()}
    return {"own": {**_encode(profile), **_set(by_key)}, "models": models}


def _encode(limits: Limits) -> dict[str, Any]:
    rates = {"1": limits.submissions_per_second, "60": limits.submissions_per_minute}
    found = {
        "in_flight": limits.max_in_flight,
        "rates": _set(rates) or None,
        "day": limits.max_per_day,
        "batch": limits.max_per_batch,
        "usd_day": _micros(limits.max_usd_per_day),
        "usd_batch": _micros(limits.max_usd_per_batch),
    }
    return _set(found)


def _set(limits: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in limits.items() if value is not None}


def _micros(usd: float | None) -> int | None:
    return None if usd is None else micros_of(Decimal(str(usd)))


class Scope(StrEnum):
    """The part of a profile's submissions that a refusal pauses."""

    MODEL = "model"
    """Submissions of the model (429, 402). If a second model is refused, also those of the profile."""
    KEY = "key"
    """Submissions of workers with the same API key (401)."""
    GENERATION = "generation"
    """Only this submission: its input cannot be prepared now."""
    WORKER = "worker"
    """Submissions of this worker, which has no connection to the API."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """The pause that follows a create request that was not accepted."""

    scope: Scope
    reason: str
    """A text for display that names the refusal and the fix."""
    seconds: float | None = None
    """Seconds that the API asked for; None: ``first``, doubled per refusal in a row up to ``ceiling``."""
    first: float
    ceiling: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The ledger's answer to a delivery."""

    action: Action
    effects: Effects = Effects()
    record: Record | None = None
    """With ``deliver``: the record whose outcome is returned."""
    is_same_input: bool = True
    """With ``duplicate``: this message has the input of the first one."""
    state: str | None = None
    """With ``duplicate``: the record's state."""
    seconds: float | None = None
    """With ``submit``: seconds until the generation expires; None: it does not expire."""


class Recorded(NamedTuple):
    """The ledger's answer when the API's id of a generation is recorded."""

    result: RecordIdResult
    effects: Effects
    webhook_arrived: bool
    """A webhook has already reported the end of this generation."""
