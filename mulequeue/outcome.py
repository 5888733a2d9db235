"""The outcome of a generation, with its assets, files and error. Tasks return it as a dict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

OutcomeStatus = Literal["succeeded", "failed", "timed_out", "submit_unknown", "cancelled"]
Kind = Literal["image", "video", "audio"]

OUTCOME_STATUSES: tuple[OutcomeStatus, ...] = get_args(OutcomeStatus)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One result of a generation, on the API's asset host."""

    url: str
    """URL that needs no key; or ``hex:`` and the hex digits of audio that the API's response contained."""
    kind: Kind
    """``image``, ``video`` or ``audio``."""
    expires_at: str | None = None
    """ISO-8601: time at which the documented retention of the URL ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorInfo:
    """The reason why a generation did not succeed, in one form for all error formats of the API."""

    type: str
    """A class name of :mod:`mulequeue.errors` (``GenerationFailed`` for a failure at the API), or
    ``NoAssets``: the generation completed without a file and was probably billed."""
    code: int | None = None
    """The API's number of the error (``code`` or ``error_code``)."""
    title: str | None = None
    detail: str | None = None
    trace_id: str | None = None
    """``Traceparent`` of the response; the API's support asks for it."""
    status_code: int | None = None
    """HTTP status of the response; None for a generation that failed after it was accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file that ``download`` stored."""

    url: str
    """URL in the storage (``file:///…``, ``s3://…``)."""
    kind: Kind
    media_type: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of a generation."""

    task_id: str
    """Celery task id of ``generate``, which names the record."""
    status: OutcomeStatus
    remote_id: str | None = None
    """The API's id of the generation; None if the API returned none."""
    model: str | None = None
    """``vendor/model[/action]``, or None for a path that the catalog does not list."""
    profile: str = "default"
    api_path: str | None = None
    base_url: str | None = None
    kind: Kind | None = None
    assets: tuple[Asset, ...] = ()
    error: ErrorInfo | None = None
    created_at: str | None = None
    """Time of creation, in the API's format."""
    updated_at: str | None = None
    """Time of the last change, in the API's format."""
    submitted_at: str | None = None
    """ISO-8601, UTC: time just before the create request was sent."""
    finished_at: str | None = None
    """ISO-8601, UTC: time when mulequeue settled the outcome."""
    polls: int = 0
    """Number of status checks."""
    extra: dict[str, Any] = field(default_factory=dict)
    """All other top-level fields of the API's response (``description``, ``audio_length``, …)."""
    files: tuple[File, ...] = ()
    """Files that ``download`` stored; empty before the download."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """The caller's own data, as the call gave it."""
    estimated_usd: float | None = None
    """Estimated cost in US dollars; 0: nothing was created; None: the price is unknown. It is not known whether the
    API charges failed generations. A generation that is ``submit_unknown`` may have been charged."""

    @property
    def succeeded(self) -> bool:
        return self.status == "succeeded"

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dict, with lists instead of tuples."""
        data = asdict(self)
        for key in ("assets", "files"):
            data[key] = list(data[key])
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Outcome:
        """Return the outcome of a dict from :meth:`to_dict`. Unknown fields (of a newer version) are ignored.

        :raises TypeError: ``task_id`` or ``status`` is missing.
        """
        known = {key: value for key, value in data.items() if key in cls.__dataclass_fields__}
        known["assets"] = tuple(_part(Asset, item) for item in data.get("assets") or ())
        known["files"] = tuple(_part(File, item) for item in data.get("files") or ())
        known["error"] = _part(ErrorInfo, data["error"]) if data.get("error") else None
        return cls(**known)


OPTIONAL = ("error", "metadata")
"""Fields that are left out of the short form of an outcome if they are empty."""
_SHORT_FORM = ("task_id", "status", "files", *OPTIONAL)


def is_outcome(value: Any) -> bool:
    """Return True for an outcome as a dict, and for the short form that members of a batch return."""
    return isinstance(value, Mapping) and "task_id" in value and "status" in value


def is_reference(value: Mapping[str, Any]) -> bool:
    """Return True for the short form of an outcome, whose other fields are in the ledger."""
    return set(value) <= set(_SHORT_FORM)


def short_form(outcome: Outcome | Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an outcome that a batch returns per member, without an empty error or metadata."""
    data = outcome.to_dict() if isinstance(outcome, Outcome) else outcome
    names = (name for name in _SHORT_FORM if data.get(name) or name not in OPTIONAL)
    return {name: data.get(name) or [] for name in names}


def _part(cls: type[Any], data: Mapping[str, Any]) -> Any:
    return cls(**{key: value for key, value in data.items() if key in cls.__dataclass_fields__})
