"""The steps of a generation, with their times.

Moments that have no separate field are in the field ``times`` of a record, which has at most 64 bytes. A moment
is a letter and the milliseconds since ``created`` in hexadecimal; some have a capital letter for the reason.
The scripts append them (``note_time``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mulequeue.ledger.records import Record, iso

_MOMENT = re.compile(r"([g-z])([0-9a-f]*)([A-Z]?)")
_STEPS = {
    "q": "enqueued",
    "r": "retried",
    "w": "waiting",
    "k": "settled",
    "h": "settled",
    "n": "settled",
    "v": "woken",
    "z": "handed on",
    "o": "downloaded",
    "t": "notified",
}
_DETAILS: Mapping[str, str] = {
    "L": "the limits of its profile or model were reached",
    "P": "submissions were paused",
    "H": "an operator had paused submissions",
    "W": "its worker could not submit",
    "R": "the API refused the create request for now, or it was not sent",
    "k": "by a status check",
    "h": "by a webhook",
    "n": "by the answer to the create request",
}
_PHASES = {
    "enqueued": "queued",
    "received": "starting",
    "retried": "waiting",
    "waiting": "waiting",
    "submitted": "submitting",
    "accepted": "generating",
    "settled": "waking",
}
"""The phase between one of these steps and the next one."""
_FOLLOWING = (
    ("handing on", "woken", "handed on"),
    ("downloading", "woken", "downloaded"),
    ("notifying", "downloaded", "notified"),
)
"""The phases after the wake, which can overlap: name, first step, last step."""
_ORDER = (*_PHASES, "woken", "handed on", "downloaded", "notified")
_LEAST_SECONDS = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A moment in the life of a generation."""

    name: str
    """``enqueued``, ``received``, ``retried``, ``waiting``, ``submitted``, ``accepted``, ``settled``, ``woken``,
    ``downloaded``, ``notified`` or ``handed on``."""
    at: float
    """Unix seconds."""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """The time between two steps."""

    name: str
    started: float
    """Unix seconds."""
    ended: float
    """Unix seconds; of the current phase: the present."""
    detail: str = ""

    @property
    def seconds(self) -> float:
        return max(0.0, self.ended - self.started)


def steps_of(record: Record) -> list[Step]:
    """Return the steps of a generation, the earliest first."""
    found = [Step(name="received", at=record.created)] if record.created else []
    for letter, offset, reason in _MOMENT.findall(record.times):
        at = record.created + (-1 if letter == "q" else 1) * int(offset or "0", 16) / 1000
        name = _STEPS.get(letter)
        if name == "settled" and record.finished is not None:
            at = record.finished
        if name is not None:
            detail = _DETAILS.get(reason or letter, "")
            found.append(Step(name=name, at=at, detail=detail))
    found += _of_fields(record, has_end=any(step.name == "settled" for step in found))
    return sorted(found, key=lambda step: (step.at, _ORDER.index(step.name)))


def timeline_json(record: Record) -> list[dict[str, Any]]:
    """Return the steps, JSON-ready. ``seconds`` is the time since the first step."""
    steps = steps_of(record)
    return [
        {
            "step": step.name,
            "at": iso(step.at),
            "seconds": round(step.at - steps[0].at, 3),
            "detail": step.detail or None,
        }
        for step in steps
    ]


def _of_fields(record: Record, *, has_end: bool) -> list[Step]:
    tries = f"attempt {record.requeues + 1}" if record.requeues else ""
    fields = (
        ("submitted", record.submitted, tries),
        ("accepted", record.started, ""),
        ("settled", None if has_end else record.finished, ""),
    )
    return [Step(name=name, at=at, detail=detail) for name, at, detail in fields if at is not None]


def phases_of(record: Record, now: float) -> list[Phase]:
    """Return the phases of a generation until ``now`` (unix seconds)."""
    steps = steps_of(record)
    times = {step.name: step.at for step in steps}
    until_woken = [step for step in steps if step.name in (*_PHASES, "woken")]
    present = Step(name="", at=now if record.is_under_way else 0.0)
    phases = [
        Phase(name=_PHASES[step.name], started=step.at, ended=end.at, detail=_detail(step, end))
        for step, end in zip(until_woken, [*until_woken[1:], present], strict=True)
        if step.name in _PHASES
    ]
    for name, first, last in _FOLLOWING:
        begun = times.get(first, times.get("woken"))
        if begun is not None and last in times:
            phases.append(Phase(name=name, started=begun, ended=times[last]))
    return [phase for phase in phases if phase.seconds >= _LEAST_SECONDS]


def _detail(step: Step, end: Step) -> str:
    """Return the detail of a phase: how it ended, if the outcome ended it, else why it began."""
    if end.name == "settled" and end.detail:
        return f"ended {end.detail}"
    return "" if step.name == "settled" else step.detail
