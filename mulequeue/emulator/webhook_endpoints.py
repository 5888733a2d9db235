"""Receivers of the API's webhooks: how they are told, and how what they get is signed."""

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
"""As many as the API's console takes."""
_PREFIX = "whsec_"


def new_secret() -> str:
    """``whsec_`` and 32 random bytes, as the console shows it once."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


@dataclass(slots=True, kw_only=True)
class Endpoint:
    """One receiver. The defaults are the API's documentation, read as it is most likely meant."""

    url: str
    secret: str = field(default_factory=new_secret)
    """Unset: one is made up, and the answer tells it."""
    events: list[Event] = field(default_factory=lambda: list(EVENTS))
    encoding: Literal["hex", "base64"] = "hex"
    """How the signature is written; the documentation does not say."""
    key: Literal["as_given", "decoded"] = "as_given"
    """Which bytes sign: the secret's own, or those that the base64 behind ``whsec_`` stands for."""
    signature: Literal["good", "bad", "missing"] = "good"
    copies: int = 1
    """How often each delivery is sent, whatever is answered."""
    delay_seconds: float = 0.0
    """From the event to its delivery."""
    reorder: bool = False
    """Tell of the creation after the end."""
    stale_seconds: float = 0.0
    """How far the timestamp lies in the past."""
    attempts: int = 3
    """How often a delivery is tried that is not answered with 2xx."""
    retry_seconds: float = 0.5
    """Between two attempts."""

    def check(self, where: str) -> None:
        """Raise ValueError for a URL that is none, or a secret that cannot sign."""
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f"{where}.url must start with http:// or https://, not {self.url!r}")
        if self.key == "decoded" and not _decoded(self.secret):
            raise ValueError(f"{where}.secret must be {_PREFIX} and base64 for key 'decoded'")

    def headers(self, delivery_id: str, now: float, body: bytes) -> dict[str, str]:
        """The headers of one delivery.

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
        """HMAC-SHA256 of ``{delivery id}.{timestamp}.{raw body}``."""
        key = _decoded(self.secret) if self.key == "decoded" else self.secret.encode()
        message = b".".join([delivery_id.encode(), timestamp.encode(), body])
        digest = hmac.new(key, message, hashlib.sha256).digest()
        return digest.hex() if self.encoding == "hex" else base64.b64encode(digest).decode()


def _decoded(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        return b""
