"""The data model: what a generation came to, as it travels between tasks and to the user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

OutcomeStatus = Literal["succeeded", "failed", "timed_out", "submit_unknown", "cancelled"]
Kind = Literal["image", "video", "audio"]

OUTCOME_STATUSES: tuple[OutcomeStatus, ...] = (
    "succeeded",
    "failed",
    "timed_out",
    "submit_unknown",
    "cancelled",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One result of a generation, at the API's asset host."""

    url: str
    """Where it can be fetched, without a key; or ``hex:…``, audio bytes the API answered inline."""
    kind: Kind
    """``image``, ``video`` or ``audio``."""
    expires_at: str | None = None
    """ISO-8601: the last moment the URL is known to work (from the model's documented retention)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorInfo:
    """Why a generation did not succeed, from any of the API's error shapes."""

    type: str
    """A class name of :mod:`mulequeue.errors` (``GenerationFailed`` for a failure on their side), or
    ``NoAssets``: it completed without any file, and was probably billed."""
    code: int | None = None
    """The API's own number (``code`` or ``error_code``), the authoritative signal."""
    title: str | None = None
    detail: str | None = None
    trace_id: str | None = None
    """``Traceparent`` of the answer: what the API's support asks for."""
    status_code: int | None = None
    """HTTP status of the refusing answer; None for a generation that failed after it was accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """What ``download`` stored of one asset."""

    url: str
    """Where it is: a URL of the storage (``file:///…``, ``s3://…``)."""
    kind: Kind
    media_type: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a generation came to."""

    task_id: str
    """The Celery task id of ``generate``: the name of the record."""
    status: OutcomeStatus
    remote_id: str | None = None
    """The API's id of the generation; None when it never got one."""
    model: str | None = None
    """``vendor/model[/action]``, or None for a path the catalog does not know."""
    profile: str = "default"
    api_path: str | None = None
    base_url: str | None = None
    kind: Kind | None = None
    assets: tuple[Asset, ...] = ()
    error: ErrorInfo | None = None
    created_at: str | None = None
    """The API's own time of creation, as it wrote it."""
    updated_at: str | None = None
    """The API's own time of the last change, as it wrote it."""
    submitted_at: str | None = None
    """ISO-8601, UTC: when the create request was about to leave."""
    finished_at: str | None = None
    """ISO-8601, UTC: when mulequeue learned of the end."""
    polls: int = 0
    """Status checks it took."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Every other top-level field of the API's answer (``description``, ``audio_length``, …)."""
    files: tuple[File, ...] = ()
    """What ``download`` stored; empty before it."""

    @property
    def succeeded(self) -> bool:
        return self.status == "succeeded"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, lists instead of tuples."""
        data = asdict(self)
        for key in ("assets", "files"):
            data[key] = list(data[key])
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Outcome:
        """The reverse of :meth:`to_dict`; fields of a newer version are passed over.

        Raises ``TypeError`` when ``task_id`` or ``status`` is missing.
        """
        known = {key: value for key, value in data.items() if key in cls.__dataclass_fields__}
        known["assets"] = tuple(_part(Asset, item) for item in data.get("assets") or ())
        known["files"] = tuple(_part(File, item) for item in data.get("files") or ())
        known["error"] = _part(ErrorInfo, data["error"]) if data.get("error") else None
        return cls(**known)


def is_outcome(value: Any) -> bool:
    """Whether a value is an outcome, or the short form that members of a batch return."""
    return isinstance(value, Mapping) and "task_id" in value and "status" in value


def is_reference(value: Mapping[str, Any]) -> bool:
    """Whether the rest of an outcome has to be read from the ledger."""
    return set(value) <= {"task_id", "status", "files", "error"}


def _part(cls: type[Any], data: Mapping[str, Any]) -> Any:
    return cls(**{key: value for key, value in data.items() if key in cls.__dataclass_fields__})
