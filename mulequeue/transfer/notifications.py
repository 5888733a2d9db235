"""Send notifications: webhooks that are signed by the Standard Webhooks scheme.

The id and the body depend only on the outcome and the target. They are the same for every attempt,
so a receiver can drop duplicates.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import urllib3
from standardwebhooks import Webhook

from mulequeue.errors import ConfigurationError, InputError, NotificationError
from mulequeue.net.address_guard import AddressRefused
from mulequeue.net.environment import CONNECT_TIMEOUT_SECONDS
from mulequeue.net.guarded_session import TransferSession
from mulequeue.outcome import OUTCOME_STATUSES, is_outcome, short_form
from mulequeue.settings import Settings
from mulequeue.transfer.control import TransferControl, guard_for, translate_errors

_MAX_ANSWER_BYTES = 64 * 1024
_PREFIX = "whsec_"
_HOW_TO_MAKE_ONE = (
    'Make one with `python -c "from mulequeue.transfer.notifications import new_secret; '
    'print(new_secret())"`, set it as mulequeue_notification_secret '
    "(or MULEQUEUE_NOTIFICATION_SECRET), and give it to the receiver."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One webhook before it is signed."""

    id: str
    """``webhook-id``: the same for every attempt."""
    target: str
    """The URL of the receiver."""
    body: bytes
    """Canonical JSON: ``{"type", "timestamp", "data"}``."""


def build_notification(
    value: Mapping[str, Any] | Sequence[Mapping[str, Any]], target: str
) -> Notification:
    """Return the notification for one outcome, or for the outcomes of a batch.

    One outcome: ``{"type": "generation.<status>", "timestamp": finished_at, "data": outcome}``.
    A list: ``{"type": "batch.finished", "timestamp": the last finished_at or null,
    "data": {"generations": [{task_id, status, files, error, metadata}], "counts": {status: number},
    "estimated_usd": sum or null}}``; ``error`` and ``metadata`` unless they are empty.

    :param value: an outcome as a dictionary, or a list of outcomes or of their short forms.
    :raises InputError: ``value`` is neither an outcome nor a list of outcomes.
    """
    is_batch = isinstance(value, Sequence) and not isinstance(value, (str, bytes))
    members: list[Any] = list(value) if is_batch else [value]
    for member in members:
        if not is_outcome(member):
            raise InputError(
                "notify takes an outcome or a list of outcomes, as generate, download and generate_many "
                f"return them, not a {type(member).__name__}. Put notify right behind one of them."
            )
    if is_batch:
        event, data = "batch.finished", _summarize_batch(members)
    else:
        event, data = f"generation.{members[0]['status']}", dict(members[0])
    finished = (str(member["finished_at"]) for member in members if member.get("finished_at"))
    content = {"type": event, "timestamp": max(finished, default=None), "data": data}
    return Notification(
        id=_id(members, target, event), target=target, body=_canonical_json(content)
    )


def send_notification(
    notification: Notification,
    *,
    settings: Settings,
    timestamp: datetime,
    control: TransferControl | None = None,
) -> None:
    """Sign a notification and send it once.

    :param timestamp: the current time; receivers reject signatures that are some minutes old.
    :param control: aborts the request.
    :raises NotificationError: the target did not accept the notification. Not retryable: it returned 410, or its
        address is forbidden.
    :raises ConfigurationError: the secret is missing or invalid, or this process cannot send the request.
    """
    target = notification.target
    headers, what = (
        _headers(notification, settings, timestamp),
        f"{target_host(target)} was not reached",
    )
    with (
        TransferSession(guard_for(settings)) as session,
        (control or TransferControl()).attach(session),
        session.total_deadline(settings.notification_timeout_seconds),
    ):
        with translate_errors(
            NotificationError, what, session, late=f"{what}: no response in time"
        ):
            timeout = (CONNECT_TIMEOUT_SECONDS, settings.notification_timeout_seconds)
            response = session.post(
                target, data=notification.body, headers=headers, timeout=timeout
            )
        # Read the body, so that the receiver can finish writing it. Only the status counts.
        with response, suppress(urllib3.exceptions.HTTPError, OSError):
            response.raw.read(_MAX_ANSWER_BYTES, decode_content=False)
    _check_status(response.status_code, target)


def check_target(url: str, settings: Settings, *, resolve: bool = True) -> None:
    """Check whether notifications may be sent to a URL; send nothing.

    :param resolve: also check the addresses of its host. A name that does not resolve is accepted.
    :raises InputError: the URL is no https URL or contains credentials, or an address is not public (see
        ``mulequeue_allow_private_addresses``, which also allows http).
    """
    try:
        guard_for(settings).check_url(url, resolve=resolve)
    except AddressRefused as exc:
        raise InputError(f"The target of a notification is refused: {exc}") from None


def new_secret() -> str:
    """Return a new secret for ``mulequeue_notification_secret``: ``whsec_`` and 32 random bytes."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def _headers(notification: Notification, settings: Settings, timestamp: datetime) -> dict[str, str]:
    moment = timestamp.astimezone(UTC)
    signature = check_secret(settings).sign(notification.id, moment, notification.body.decode())
    return {
        "Content-Type": "application/json",
        "webhook-id": notification.id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": signature,
    }


def check_secret(settings: Settings) -> Webhook:
    """Return the object that signs notifications, made from the secret of the settings.

    :raises ConfigurationError: the secret is missing or invalid; the text explains how to make one.
    """
    secret = settings.notification_secret
    if not secret:
        raise ConfigurationError(f"Notifications need a secret to sign with. {_HOW_TO_MAKE_ONE}")
    with suppress(ValueError):  # raised below, because the chained exception may quote the secret
        if base64.b64decode(secret.removeprefix(_PREFIX), validate=True):
            return Webhook(secret)
    raise ConfigurationError(
        f"mulequeue_notification_secret is not {_PREFIX} and base64. {_HOW_TO_MAKE_ONE}"
    )


def _check_status(status: int, target: str) -> None:
    if 200 <= status < 300:
        return
    text = f"{target_host(target)} returned {status}"
    if status == 410:
        text += ": it accepts no more notifications"
    elif 300 <= status < 400:
        text += "; redirects are not followed. Give the final URL as target"
    raise NotificationError(f"{text}.", retryable=status != 410)


def target_host(target: str) -> str:
    """Return the receiver's host for a message; the path of a target is often secret."""
    try:
        return urlsplit(target).hostname or "the target"
    except (ValueError, TypeError, AttributeError):  # check_target reports the error
        return "the target"


# The content


def _summarize_batch(members: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    counts = Counter(member["status"] for member in members)
    amounts = (member.get("estimated_usd") for member in members)
    known = [str(amount) for amount in amounts if amount is not None]
    return {
        "generations": [short_form(member) for member in members],
        "counts": {status: counts[status] for status in OUTCOME_STATUSES},
        "estimated_usd": float(sum(map(Decimal, known))) if known else None,
    }


def _id(members: Sequence[Mapping[str, Any]], target: str, event: str) -> str:
    """Return an id that depends only on values that never change. The URLs of files may change."""
    fixed = [[m["task_id"], m.get("remote_id"), m["status"], bool(m.get("files"))] for m in members]
    return "msg_" + hashlib.sha256(_canonical_json([event, target, fixed])).hexdigest()[:32]


def _canonical_json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()
