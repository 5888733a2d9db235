"""Decide whether a failed attempt of a leased task is repeated, and when, or which error is final.

A retryable error is retried until the policy's ``max_seconds``. After an error that only this worker may have
(its configuration, or a busy host), the task is left to other workers, and the attempt does not count.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from mulequeue import errors
from mulequeue.engine.followups.background import HostBusy
from mulequeue.engine.queues import MAX_ELSEWHERE, elsewhere_delay
from mulequeue.errors import (
    AssetGone,
    ConfigurationError,
    DownloadError,
    MuleQueueError,
    NotificationError,
    StorageError,
    TransferError,
)
from mulequeue.ledger import Begun, RetryReason

MAX_ATTEMPTS = 20
"""A URL that answers without the file (``AssetGone``) is given up after this many attempts."""
MAX_UNEXPECTED_ERRORS = 5
SOON_ATTEMPTS = 9
"""Up to this many attempts after a StorageError follow soon, because the storage of another worker may work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The rules by which the attempts of a task are made and repeated."""

    delays: Sequence[float]
    """Seconds between attempts; the last one repeats."""
    max_seconds: float
    """A retryable error is final if the next attempt would be later than this after the first one."""
    max_attempts: int = MAX_ATTEMPTS
    """A URL that answers without the file is given up after this many attempts."""
    max_unexpected_errors: int = MAX_UNEXPECTED_ERRORS
    """The task is given up after this many attempts if the last one raised an unexpected error."""
    host: Callable[[], str | None] = lambda: None
    """Returns the host that an attempt depends on; None: it runs in the task's thread."""
    keeps_value: bool = True
    """False: an attempt has no effect, so its value is not stored: a repeated dispatch makes it again."""
    generation: str | None = None
    """Task id of the generation that the task follows."""
    error_field: str = ""
    """The field of the generation's record that gets the final error; empty: none."""


def judge(
    exc: Exception, begun: Begun, policy: Policy
) -> tuple[float, RetryReason, Exception | None]:
    """Return the seconds until the next attempt, its reason, and the final error; None: make the attempt."""
    is_elsewhere = isinstance(exc, (ConfigurationError, HostBusy))
    delay = elsewhere_delay(begun.elsewhere + 1) if is_elsewhere else _delay(exc, begun, policy)
    ends = begun.elapsed_seconds + delay
    failed = RetryReason.STORAGE if isinstance(exc, StorageError) else RetryReason.FAILED
    how = RetryReason.ELSEWHERE if is_elsewhere else failed
    is_over = _is_over(exc, begun, policy, ends)
    return delay, how, _final_error(exc, begun) if is_over else None


def _delay(exc: Exception, begun: Begun, policy: Policy) -> float:
    delays, number = policy.delays, begun.attempt
    if isinstance(exc, StorageError):
        if number <= SOON_ATTEMPTS:
            return elsewhere_delay(number)
        number -= SOON_ATTEMPTS
    return delays[min(number, len(delays)) - 1] * random.uniform(0.8, 1.2)


def _is_over(exc: Exception, begun: Begun, policy: Policy, ends: float) -> bool:
    """Return whether an error is final.

    An unexpected error (a defect) is retried too, because a final error fails the chord permanently. An error
    of Redis or of the broker is never final.

    :param ends: seconds from the first attempt to the next one.
    """
    if isinstance(exc, ConfigurationError):
        # If the previous attempt had another cause, it may only have found its host busy.
        return begun.elsewhere >= MAX_ELSEWHERE and begun.cause == str(exc)
    if isinstance(exc, AssetGone) and begun.attempt >= policy.max_attempts:
        return True
    if isinstance(exc, TransferError):
        return not exc.retryable or ends > policy.max_seconds
    if isinstance(exc, (RedisError, OperationalError)):
        return False
    return isinstance(exc, MuleQueueError) or begun.attempt >= policy.max_unexpected_errors


def _final_error(exc: Exception, begun: Begun) -> Exception:
    if isinstance(exc, ConfigurationError):
        return ConfigurationError(f"No worker could do it. The last one: {exc}")
    if not isinstance(exc, MuleQueueError):
        error = TransferError(f"{type(exc).__name__}: {exc}", retryable=False)
        error.__cause__ = exc
        return error
    if not isinstance(exc, TransferError):
        return exc
    text = str(exc)
    if exc.retryable:
        text += f" Given up after {begun.attempt} attempts in {begun.elapsed_seconds:.0f} s."
    # AssetGone remains: the file may still appear. Other subclasses are replaced by these.
    kinds = (AssetGone, DownloadError, NotificationError)
    return next((kind for kind in kinds if isinstance(exc, kind)), TransferError)(
        text, retryable=False
    )


def abandoned_error(begun: Begun) -> TransferError:
    """Return the error of a task that reached its limit of deliveries without finishing."""
    cause = begun.cause or "the workers that ran it stopped"
    text = f"Given up after {begun.deliveries - 1} deliveries to a worker: {cause}."
    return TransferError(text, retryable=False)


def value_of(verdict: Mapping[str, Any]) -> Any:
    """Return the value that an earlier run stored, or raise the error that it stored."""
    if "error" not in verdict:
        return verdict["value"]
    kind = getattr(errors, verdict["type"], TransferError)
    raise kind(
        verdict["error"], **({"retryable": False} if issubclass(kind, TransferError) else {})
    )
