"""Describe the endpoints that receive the API's webhooks: delivery options and signature."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import Literal, get_args

Event = Literal["task.created", "task.succeeded", "task.failed", "balance.low"]
EVENTS: tuple[Event, ...] = get_args(Event)
MAX_ENDPOINTS = 5
"""The limit of the API's console."""
_PREFIX = "whsec_"


def new_secret() -> str:
    """Return ``whsec_`` and 32 random bytes in base64, as the API's console generates it."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


@dataclass(slots=True, kw_only=True)
class Endpoint:
    """One receiver. The defaults follow the most likely reading of the API's documentation."""

    url: str
    secret: str = field(default_factory=new_secret)
    """Default: a new secret, which the response to ``POST webhooks`` contains."""
    events: list[Event] = field(default_factory=lambda: list(EVENTS))
    encoding: Literal["hex", "base64"] = "hex"
    """Encoding of the signature; the documentation does not specify it."""
    key: Literal["as_given", "decoded"] = "as_given"
    """The signing key: the bytes of the secret, or the decoded base64 after ``whsec_``."""
    signature: Literal["good", "bad", "missing"] = "good"
    copies: int = 1
    """How often each delivery is sent. Later copies are also sent after a 2xx."""
    delay_seconds: float = 0.0
    """Time from the event to its delivery."""
    reorder: bool = False
    """Send ``task.created`` after ``task.succeeded`` or ``task.failed``."""
    stale_seconds: float = 0.0
    """Age of the signed timestamp at the time of the attempt."""
    attempts: int = 3
    """Maximum number of attempts per copy. The first 2xx ends them."""
    retry_seconds: float = 0.5
    """Time between two attempts."""

    def check(self, where: str) -> None:
        """Raise ValueError for an invalid URL, or for a secret that does not fit ``key``."""
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f"{where}.url must start with http:// or https://, not {self.url!r}")
        if self.key == "decoded" and not _decoded(self.secret):
            raise ValueError(f"{where}.secret must be {_PREFIX} and base64 for key 'decoded'")

    def headers(self, delivery_id: str, now: float, body: bytes) -> dict[str, str]:
        """Return the headers of one delivery.

        :param now: unix seconds.
        """
        timestamp = str(int(now - self.stale_seconds))
        signed = self.sign(delivery_id, timestamp, body)
        if self.signature == "bad":
            signed = self.sign(delivery_id, timestamp, body + b" ")
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "MuleRouter-Webhooks",
            "X-MuleRouter-Webhook-Id": delivery_id,
            "X-MuleRouter-Webhook-Timestamp": timestamp,
        }
        if self.signature != "missing":
            headers["X-MuleRouter-Webhook-Signature"] = f"v1={signed}"
        return headers

    def sign(self, delivery_id: str, timestamp: str, body: bytes) -> str:
        """Return the HMAC-SHA256 of ``{delivery id}.{timestamp}.{raw body}``."""
        key = _decoded(self.secret) if self.key == "decoded" else self.secret.encode()
        message = b".".join([delivery_id.encode(), timestamp.encode(), body])
        digest = hmac.new(key, message, hashlib.sha256).digest()
        return digest.hex() if self.encoding == "hex" else base64.b64encode(digest).decode()


def _decoded(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        return b""
