"""MuleRouter's webhooks as its pages describe them, signed by hand."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import uuid
from typing import Any

WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes ...").decode()


def event(payload: Any, *, kind: str = "task.succeeded", event_id: str | None = None) -> bytes:
    """The raw body that tells of ``payload``, the answer to a status check."""
    data = {"vendor": "alibaba", "model_name": "wan2.6-t2i", "payload": payload}
    told = {"id": event_id or f"evt_{uuid.uuid4().hex}", "type": kind, "data": data}
    return json.dumps({**told, "created_at": "2026-09-21T08:23:12Z"}).encode()


def ended(remote_id: str, status: str = "completed", **more: Any) -> dict[str, Any]:
    """What a status check of a generation that is over answers."""
    info = {"id": remote_id, "status": status, "created_at": "2026-09-21T08:20:00Z"}
    result = {"images": [f"https://assets.example/{remote_id}.png"]} if status != "failed" else {}
    return {"task_info": info, **result, **more}


def signed(
    body: bytes,
    *,
    secret: str = WEBHOOK_SECRET,
    at: float | None = None,
    encoding: str = "hex",
    key: str = "text",
    delivery: str = "dlv_1",
) -> dict[str, str]:
    """The headers that go with a body.

    :param at: unix seconds; None: now.
    :param encoding: of the digest: hex, HEX, base64, urlsafe or unpadded.
    :param key: ``text``: the secret as it is; ``decoded``: what its base64 says.
    """
    timestamp = str(int(time.time() if at is None else at))
    plain = secret.removeprefix("whsec_")
    secret_bytes = secret.encode() if key == "text" else base64.b64decode(plain)
    content = f"{delivery}.{timestamp}.".encode() + body
    digest = hmac.new(secret_bytes, content, hashlib.sha256).digest()
    forms = {
        "hex": digest.hex(),
        "HEX": digest.hex().upper(),
        "base64": base64.b64encode(digest).decode(),
        "urlsafe": base64.urlsafe_b64encode(digest).decode(),
        "unpadded": base64.b64encode(digest).decode().rstrip("="),
    }
    return {
        "Content-Type": "application/json",
        "X-MuleRouter-Webhook-Id": delivery,
        "X-MuleRouter-Webhook-Timestamp": timestamp,
        "X-MuleRouter-Webhook-Signature": f"v1={forms[encoding]}",
    }
