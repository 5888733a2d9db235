"""
MuleQueueError
├─ ConfigurationError             a setting is missing or wrong; the text says which and how to set it
├─ InputError                     the input of a generation cannot be sent as it is
├─ BudgetExceeded                 a cap on the generations of a batch or a day; nothing was sent
├─ APIError                       .status_code .error
│  ├─ AuthenticationError         401, 403
│  ├─ EdgeBlocked                 a 403 that is not JSON: the edge in front of the API, not a verdict on the key
│  ├─ InvalidRequestError         400, 404, 405, 409, 422, 451 and every other 4xx
│  ├─ InsufficientBalance         402
│  ├─ RateLimited                 429; 503 with Retry-After      .retry_after_seconds
│  └─ ServerError                 5xx
├─ AddressRefused                 an address that is not public (:mod:`mulequeue.net.address_guard`)
├─ TransferError                  a download or a notification did not work        .retryable
│  ├─ DownloadError
│  │  └─ AssetGone                its URL has expired, or its asset is gone for good
│  └─ NotificationError
└─ GenerationError                what a generation came to; one JSON-ready argument      .outcome
   ├─ GenerationFailed
   ├─ GenerationTimedOut
   ├─ GenerationCancelled
   └─ SubmitUnknown               sent, the answer lost: it may exist and may be paid
"""

from __future__ import annotations

from typing import Any, ClassVar

__all__ = [
    "APIError",
    "AssetGone",
    "AuthenticationError",
    "BudgetExceeded",
    "ConfigurationError",
    "DownloadError",
    "EdgeBlocked",
    "GenerationCancelled",
    "GenerationError",
    "GenerationFailed",
    "GenerationTimedOut",
    "InputError",
    "InsufficientBalance",
    "InvalidRequestError",
    "MuleQueueError",
    "NotificationError",
    "RateLimited",
    "ServerError",
    "SubmitUnknown",
    "TransferError",
    "generation_error",
]


class MuleQueueError(Exception):
    """Base of every error that mulequeue raises."""


class ConfigurationError(MuleQueueError):
    """A setting is missing or wrong; the text says which one and how to set it."""


class InputError(MuleQueueError):
    """The input of a generation cannot be sent as it is; nothing was sent."""


class BudgetExceeded(MuleQueueError):
    """More generations than ``max_per_batch`` or ``max_per_day`` allow; nothing was sent."""


class APIError(MuleQueueError):
    """The API refused a request."""

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        error: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.error = error


class AuthenticationError(APIError):
    """401 or 403: the key is missing, wrong, revoked, or belongs to the other site."""


class EdgeBlocked(APIError):
    """A 403 that is not JSON comes from the edge in front of the API, not from the API."""


class InvalidRequestError(APIError):
    """The API refuses this request as it is; sending it again changes nothing."""


class InsufficientBalance(APIError):
    """402: the balance does not cover the price; nothing was created."""


class RateLimited(APIError):
    """429, or 503 with Retry-After: not created, may be sent again later."""

    retry_after_seconds: float | None = None


class ServerError(APIError):
    """5xx."""


class TransferError(MuleQueueError):
    """A download or a notification did not work."""

    def __init__(self, message: str, *, retryable: bool = True) -> None:
        super().__init__(message)
        self.retryable = retryable


class DownloadError(TransferError):
    """An asset could not be stored."""


class AssetGone(DownloadError):
    """The URL answers 401, 403, 404 or 410: it may have expired, and be had again from the API."""


class NotificationError(TransferError):
    """A notification was not accepted by its target."""


class GenerationError(MuleQueueError):
    """A generation did not succeed. The one argument is the outcome, JSON-ready.

    One positional JSON-ready argument is the only form that survives every result backend:
    Celery rebuilds an exception as ``type(*args)`` in the process that reads the result.
    """

    headline: ClassVar[str] = "The generation did not succeed"

    def __init__(self, outcome: dict[str, Any]) -> None:
        super().__init__(outcome)
        self.outcome = outcome

    @property
    def error(self) -> dict[str, Any] | None:
        """``{type, code, title, detail, trace_id}`` of the outcome, or None."""
        error: dict[str, Any] | None = self.outcome.get("error")
        return error

    @property
    def reason(self) -> str | None:
        """The error's type: ``InvalidRequestError``, ``InsufficientBalance``, … or None."""
        return (self.error or {}).get("type")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"  # one line in a worker's log

    def __str__(self) -> str:
        error = self.error or {}
        text = error.get("detail") or error.get("title") or ""
        code = error.get("code")
        parts = [self.headline]
        if code is not None:
            parts.append(f" (code {code})")
        if text:
            parts.append(f": {text}")
        name = self.outcome.get("model") or self.outcome.get("api_path")
        where = ", ".join(
            f"{key} {value}"
            for key, value in (
                ("model", name),
                ("task", self.outcome.get("task_id")),
                ("remote id", self.outcome.get("remote_id")),
            )
            if value
        )
        return "".join(parts) + (f" [{where}]" if where else "")


class GenerationFailed(GenerationError):
    """The API refused the generation, or it failed there."""

    headline = "The generation failed"


class GenerationTimedOut(GenerationError):
    """The generation was still active when max_wait had passed; it may still finish."""

    headline = "The generation was still active after max_wait; take it up again with resume"


class GenerationCancelled(GenerationError):
    """The generation was cancelled on our side; the API knows no cancel."""

    headline = "The generation was cancelled"


class SubmitUnknown(GenerationError):
    """The create request was sent and its answer lost: the generation may exist and be paid."""

    headline = "Nobody knows whether this generation was created; it is never sent again by itself"


_BY_STATUS: dict[str, type[GenerationError]] = {
    "failed": GenerationFailed,
    "timed_out": GenerationTimedOut,
    "cancelled": GenerationCancelled,
    "submit_unknown": SubmitUnknown,
}


def generation_error(outcome: dict[str, Any]) -> GenerationError:
    """The exception that stands for an outcome that is not ``succeeded``."""
    return _BY_STATUS[outcome["status"]](outcome)
