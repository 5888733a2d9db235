"""Read records, and build outcomes from them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple, Self, get_type_hints

from mulequeue.catalog.usd import json_usd, usd_of_micros
from mulequeue.ledger.keyspace import texts
from mulequeue.outcome import Asset, ErrorInfo, File, Outcome

SCHEMA_VERSION = 2
"""A worker leaves records of a later version to newer workers. Version 2: the epoch is in the body of a wake."""

MAX_TEXT = 200
"""Number of characters of a problem that a record keeps."""
_ERRORS = {
    "submit_unknown": (
        "SubmitUnknown",
        "The create request was sent and its response was lost",
        "The generation may exist and may be billed; it is never sent again automatically. If you know its "
        "id from another source, continue it with adopt; else start a new one.",
    ),
    "cancelled": ("GenerationCancelled", "Cancelled", None),
    "timed_out": (
        "GenerationTimedOut",
        "Still active when max_wait had passed",
        "It may still finish: continue it with resume.",
    ),
    "failed": ("GenerationFailed", "It failed", None),
}
"""The error of an outcome for which the API gave none: type, title, detail."""


class Problem(NamedTuple):
    """The problem with the last status check of a generation."""

    since: float
    """Unix seconds of the first status check in a row with a problem of this kind."""
    kind: str
    """``error``: no usable answer. ``status``: an unknown status. ``empty``: completed without files."""
    text: str
    """The error, or the unknown status."""

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the problem that a record's field contains; None if it has none."""
        since, _, rest = text.partition(" ")
        kind, _, what = rest.partition(" ")
        try:
            return cls(float(since), kind, what)
        except ValueError:
            return None

    def dump(self) -> str:
        """Return the problem as the field of a record."""
        return f"{self.since:.3f} {self.kind} {self.text[:MAX_TEXT]}"

    @property
    def sentence(self) -> str:
        """Return the problem as a sentence."""
        if self.kind == "status":
            return f"the API reports the unknown status {self.text!r}; it counts as active"
        return self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The ledger's record of one generation. Times are unix seconds of Redis' clock."""

    task_id: str
    """The Celery task id of ``generate``; it names the record."""
    state: str
    """``waiting``, ``submitting``, ``generating``, ``settled``, ``delivering`` or ``delivered``."""
    status: str | None = None
    """The outcome's status, once there is one."""
    epoch: str = ""
    """Only messages of this epoch may act on the record."""
    profile: str = "default"
    model: str | None = None
    """``vendor/model[/action]``; None for a path that the catalog does not know."""
    label: str = ""
    """The first characters of the prompt, for display."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """The caller's own data, as the call gave it."""
    fair_key: str = ""
    """The key by which it takes turns while it waits; empty: it takes turns by its batch."""
    path: str = ""
    """The api_path without ``/vendors/``."""
    kind: str | None = None
    base_url: str | None = None
    batch: str | None = None
    """The batch that counts it."""
    remote_id: str | None = None
    """The API's id of the generation."""
    late_remote_id: str | None = None
    """An id that arrived after another outcome was delivered: it is billed; ``resume`` continues it."""
    usd: int | None = None
    """Its estimated cost in millionths of a US dollar; None: its price is unknown."""
    day: int | None = None
    """The day (UTC, since 1970) whose budget counts it; None: the API charges nothing for it."""
    interval: float | None = None
    """The fixed poll interval the caller asked for, seconds."""
    polls: int = 0
    """Status checks so far."""
    errors: int = 0
    """Status checks in a row without a usable answer."""
    problem: Problem | None = None
    """The problem with its last status check, if there was one."""
    key: str = ""
    """The fingerprint of host and key that it was submitted with."""
    deliveries: int = 0
    """Attempts to deliver its outcome."""
    retries: int = 0
    """How often it was retried."""
    returned: int = 0
    """How often it was retried after its failure had been returned to the canvas."""
    created: float = 0.0
    """When its message first reached a worker."""
    submitted: float | None = None
    """Just before the create request was sent."""
    started: float | None = None
    """When its id was recorded; the deadline counts from here."""
    finished: float | None = None
    """When its outcome was recorded."""
    deadline: float | None = None
    """A status check after this time that finds it active settles it as ``timed_out``."""
    times: str = ""
    """Moments without a separate field: :func:`~mulequeue.ledger.timeline.steps_of` reads them."""
    requeues: int = 0
    """How often it waited again, because the API refused the create request for now, or it was not sent."""
    trace: str = ""
    """The W3C ``traceparent`` of its first delivery, if a library traces it."""
    api_trace: str = ""
    """The API's ``Traceparent`` of the accepted create request, if it is traced."""
    poisoned: bool = False
    """Delivering its outcome failed so often that the outcome became a failure."""
    dispatched: str | None = None
    """Digest of the tasks that follow, after a delivery has published them."""
    abandoned: bool = False
    """Delivering the outcome failed too often, so it is not tried again; the record is kept."""
    each_error: str = ""
    """Why the task of ``each`` was not completed, if it was given up."""
    notify_error: str = ""
    """Why its notification was not sent, if one was given up."""
    answer: Mapping[str, Any] = field(default_factory=dict)
    """The API's final answer: assets, error, created_at, updated_at, extra, kind."""
    files: tuple[File, ...] = ()
    is_downloaded: bool = False
    """Its download has ended, with files or with ``file_error``."""
    file_error: str | None = None
    """The reason why its files could not be stored."""

    @property
    def is_over(self) -> bool:
        return self.status is not None

    @property
    def estimated_usd(self) -> Decimal | None:
        """Return its estimated cost in US dollars: 0 if nothing is charged; None: its price is unknown."""
        if self.day is None:
            return Decimal(0)
        return None if self.usd is None else usd_of_micros(self.usd)

    @property
    def began(self) -> float | None:
        """When it was accepted, else when its create request was sent; unix seconds."""
        return self.started or self.submitted

    @property
    def seconds(self) -> float | None:
        """Its duration at the API; None: it is not over, or was never sent."""
        return self.finished - self.began if self.finished and self.began else None

    @property
    def is_under_way(self) -> bool:
        """Return whether its outcome is not delivered yet."""
        return self.state not in ("delivered", "tombstone")

    @property
    def api_path(self) -> str:
        """The path at the API; empty for a generation that was rejected at once."""
        return f"/vendors/{self.path}" if self.path else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSummary(Record):
    """A record with the fields that show whether it is stuck; the others have their defaults."""

    version: int
    """Of the schema that the record was written with."""
    due: float | None
    """Unix seconds of Redis' clock; None: the record is not in the due index."""

    @property
    def is_abandoned(self) -> bool:
        """Return whether delivering the outcome failed so often that it became a failure, or was abandoned."""
        return self.abandoned or self.poisoned


_PARSERS: Mapping[Any, Callable[[str], Any]] = {
    bool: lambda text: text == "1",
    **dict.fromkeys((int, int | None), int),
    **dict.fromkeys((float, float | None), float),
    **dict.fromkeys((Mapping[str, Any], Mapping[str, Any] | None), json.loads),
    Problem | None: Problem.parse,
}
"""By the type of a field; others are texts."""


@cache
def _parsers_of(record_type: Any) -> dict[str, Callable[[str], Any]]:
    return {name: _PARSERS.get(kind, str) for name, kind in get_type_hints(record_type).items()}


def field_values(record_type: Any, fields: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of a hash that are attributes of a class, parsed by the annotations of the class."""
    parsers = _parsers_of(record_type)
    return {name: parsers[name](text) for name, text in fields.items() if text and name in parsers}


def answer_values(record_type: Any, answer: Sequence[bytes]) -> dict[str, Any]:
    """Return :func:`field_values` of a script's answer. Its fields follow the first three parts."""
    return field_values(record_type, texts(dict(zip(answer[3::2], answer[4::2], strict=True))))


def read_record(
    task_id: str, fields: Mapping[str, str], answer: bytes | str | None, files: bytes | str | None
) -> Record:
    """Return the record that is stored as these fields, with the JSON of its answer and of its files."""
    stored = json.loads(files) if files else []
    return Record(
        **{**field_values(Record, fields), "task_id": task_id},
        answer=json.loads(answer) if answer else {},
        files=tuple(File(**item) for item in stored),
        is_downloaded=bool(files),
    )


def outcome_of(record: Record) -> Outcome:
    """Return the outcome: a pure function of the record."""
    if record.status is None:
        raise ValueError(f"task {record.task_id} is still {record.state}")
    answer = record.answer
    return Outcome(
        task_id=record.task_id,
        status=record.status,  # type: ignore[arg-type]
        remote_id=record.remote_id or record.late_remote_id,
        model=record.model,
        profile=record.profile,
        api_path=record.api_path or None,
        base_url=record.base_url,
        kind=answer.get("kind") or record.kind,  # type: ignore[arg-type]
        assets=tuple(Asset(**item) for item in answer.get("assets", ())),
        error=_error_of(record),
        created_at=answer.get("created_at"),
        updated_at=answer.get("updated_at"),
        submitted_at=iso(record.submitted),
        finished_at=iso(record.finished),
        polls=record.polls,
        extra=dict(answer.get("extra", {})),
        files=record.files,
        metadata=dict(record.metadata),
        estimated_usd=json_usd(record.estimated_usd),
    )


def _error_of(record: Record) -> ErrorInfo | None:
    given = record.answer.get("error")
    if record.poisoned:
        return ErrorInfo(
            type="DeliveryFailed",
            title=f"Delivering it failed {record.deliveries} times",
            detail="The next task of the chain or chord could not be started; the assets are in the outcome.",
        )
    if given:
        return ErrorInfo(**given)
    if record.status == "succeeded":
        return files_error(record.file_error) if record.file_error else None
    kind, title, detail = _ERRORS[record.status or "failed"]
    if record.status == "cancelled" and record.remote_id:
        detail = "The API had accepted it, so it is probably billed; resume continues it."
    elif record.status == "cancelled" and record.submitted:
        detail = "Its create request may have reached the API."
    return ErrorInfo(type=kind, title=title, detail=detail)


def files_error(reason: str) -> ErrorInfo:
    """Return the error of a successful outcome whose files could not be stored."""
    return ErrorInfo(type="DownloadError", title="Its files could not be stored", detail=reason)


def iso(at: float | None) -> str | None:
    """Return unix seconds as ISO-8601 in UTC with milliseconds."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
