"""
MuleQueueError
├─ ConfigurationError             a setting is missing or wrong; the text names it and how to set it
├─ InputError                     an argument or the input of a generation is invalid; nothing was sent
├─ BudgetExceeded                 a limit on generations or US dollars is exceeded; nothing was sent
├─ Expired                        ``expires`` of the task passed while it waited; nothing was sent
├─ APIError                       .status_code .error
│  ├─ AuthenticationError         401, 403
│  ├─ EdgeBlocked                 a 403 that is not JSON: from the edge in front of the API
│  ├─ InvalidRequestError         400, 404, 405, 409, 422, 451 and every other 4xx
│  ├─ InsufficientBalance         402
│  ├─ RateLimited                 429; 503 with Retry-After      .retry_after_seconds
│  └─ ServerError                 5xx
├─ AddressRefused                 a URL or address that is not allowed (:mod:`mulequeue.net.address_guard`)
├─ TransferError                  a download or a notification failed        .retryable
│  ├─ DownloadError
│  │  ├─ AssetGone                the URL of an asset does not return the file
│  │  └─ StorageError             the storage could not save the file
│  └─ NotificationError
└─ GenerationError                a generation did not succeed      .outcome .error .reason
   ├─ GenerationFailed
   ├─ GenerationTimedOut
   ├─ GenerationCancelled
   └─ SubmitUnknown               the response is lost: the generation may exist and may be billed
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
    "Expired",
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
    "StorageError",
    "SubmitUnknown",
    "TransferError",
    "generation_error",
]


class MuleQueueError(Exception):
    """Base of every error that mulequeue raises."""


class ConfigurationError(MuleQueueError):
    """A setting is missing or wrong; the text names the setting and how to set it."""


class InputError(MuleQueueError):
    """An argument or the input of a generation is invalid; nothing was sent. The text names the change to make."""


class BudgetExceeded(MuleQueueError):
    """A limit on generations or US dollars, per batch or per day, is exceeded; nothing was sent."""


class Expired(MuleQueueError):
    """``expires`` of the task passed while the task waited to be submitted; nothing was sent."""


class APIError(MuleQueueError):
    """The API rejected a request. ``status_code`` is the HTTP status; ``error`` has fields of the response."""

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
    """401 or 403: the key is missing, wrong or revoked, or belongs to the other site (MuleRouter, MuleRun)."""


class EdgeBlocked(APIError):
    """A 403 that is not JSON: the edge in front of the API blocked the request. The key may still be valid."""


class InvalidRequestError(APIError):
    """The API rejects this request; the same request would be rejected again."""


class InsufficientBalance(APIError):
    """402: the balance does not cover the price. Nothing was created. Top up the account."""


class RateLimited(APIError):
    """429, or 503 with Retry-After: nothing was created, and the request can be sent again later."""

    retry_after_seconds: float | None = None
    """Seconds to wait, from Retry-After; None: the response has no such header."""


class ServerError(APIError):
    """5xx: the API failed to handle the request."""


class TransferError(MuleQueueError):
    """A download or a notification failed. ``retryable`` is True if another attempt may succeed."""

    def __init__(self, message: str, *, retryable: bool = True) -> None:
        super().__init__(message)
        self.retryable = retryable


class DownloadError(TransferError):
    """An asset could not be stored."""


class AssetGone(DownloadError):
    """The URL of an asset does not return the file, but 404 or another 4xx, a page, or an empty body.

    The file may not be there yet, the URL may have expired, or the API may no longer have the asset or the
    generation. The API may have a new URL for the asset.
    """


class StorageError(DownloadError):
    """The file could not be saved in the storage or in the Django model."""


class NotificationError(TransferError):
    """The target of a notification did not accept it."""


class GenerationError(MuleQueueError):
    """A generation did not succeed. The only argument is the outcome as a JSON-ready dict.

    Celery rebuilds an exception as ``type(*args)`` in the process that reads the result. One positional
    JSON-ready argument is kept by every result backend.
    """

    headline: ClassVar[str] = "The generation did not succeed"

    def __init__(self, outcome: dict[str, Any]) -> None:
        super().__init__(outcome)
        self.outcome = outcome

    @property
    def error(self) -> dict[str, Any] | None:
        """Return the error of the outcome, or None.

        Keys: ``type, code, title, detail, trace_id, status_code``.
        """
        error: dict[str, Any] | None = self.outcome.get("error")
        return error

    @property
    def reason(self) -> str | None:
        """Return the type of the error (``InvalidRequestError``, ``InsufficientBalance``, …), or None."""
        return (self.error or {}).get("type")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"  # one line in a worker's log

    def __str__(self) -> str:
        error, outcome = self.error or {}, self.outcome
        code, text = error.get("code"), error.get("detail") or error.get("title")
        names = {
            "model": outcome.get("model") or outcome.get("api_path"),
            "task": outcome.get("task_id"),
            "remote id": outcome.get("remote_id"),
        }
        where = ", ".join(f"{key} {value}" for key, value in names.items() if value)
        reason = ("" if code is None else f" (code {code})") + (f": {text}" if text else "")
        return self.headline + reason + (f" [{where}]" if where else "")


class GenerationFailed(GenerationError):
    """The API rejected the create request, or the generation failed."""

    headline = "The generation failed"


class GenerationTimedOut(GenerationError):
    """The generation was still active after ``max_wait`` seconds; it may still finish."""

    headline = "The generation was still active after max_wait; wait for it again with resume"


class GenerationCancelled(GenerationError):
    """The generation was cancelled. The API has no cancel, so it may still finish and be billed."""

    headline = "The generation was cancelled"


class SubmitUnknown(GenerationError):
    """The create request was sent, but its response is lost. The generation may exist and be billed."""

    headline = (
        "The create request was sent but its response is lost, so the generation may exist and be "
        "billed; it is not sent again automatically"
    )


_BY_STATUS: dict[str, type[GenerationError]] = {
    "failed": GenerationFailed,
    "timed_out": GenerationTimedOut,
    "cancelled": GenerationCancelled,
    "submit_unknown": SubmitUnknown,
}


def generation_error(outcome: dict[str, Any]) -> GenerationError:
    """Return the exception for an outcome.

    :param outcome: the outcome as a dict, with a status other than ``succeeded``.
    """
    return _BY_STATUS[outcome["status"]](outcome)
