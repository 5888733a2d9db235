"""Verify the signature of MuleRouter's webhooks.

The API's webhook page: ``X-MuleRouter-Webhook-Signature`` is ``v1=`` and the HMAC-SHA256 of
``{X-MuleRouter-Webhook-Id}.{X-MuleRouter-Webhook-Timestamp}.{raw body}``. The page does not specify
whether the digest is written in hex or base64, and whether the key is the secret's text or the
decoded base64, so all are accepted. (It is not the Standard Webhooks scheme.)
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterable, Mapping

ID_HEADER = "X-MuleRouter-Webhook-Id"
TIMESTAMP_HEADER = "X-MuleRouter-Webhook-Timestamp"
SIGNATURE_HEADER = "X-MuleRouter-Webhook-Signature"
MAX_SKEW_SECONDS = 300.0
_MAX_SIGNATURES = 4  # more than one while a secret is being replaced


class SignatureError(ValueError):
    """The signature is missing or wrong, or its time differs too much from now; the text names the reason."""


def check_signature(
    headers: Mapping[str, str], body: bytes, *, secrets: Iterable[str], now: float
) -> None:
    """Raise unless the request was signed with one of the secrets within 300 seconds of ``now``.

    :param headers: of the request; names may be in upper or lower case.
    :param body: exactly as received.
    :param secrets: as the console shows them (``whsec_…``).
    :param now: unix seconds.
    :raises SignatureError: the request is not signed, the signature is wrong, or the timestamp is not a number or
        differs from ``now`` by more than 300 seconds.
    """
    given = {name.lower(): value for name, value in headers.items()}
    name, timestamp, signature = (
        given.get(header.lower(), "") for header in (ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER)
    )
    if not (name and timestamp and signature):
        raise SignatureError("not signed")
    if not re.fullmatch(r"[0-9]{1,12}", timestamp):
        raise SignatureError("its timestamp is not a number of seconds")
    signed = f"{name}.{timestamp}.".encode(errors="replace") + body
    expected = [form for key in _candidate_keys(secrets) for form in _forms(key, signed)]
    # Every pair is compared, so that the time does not depend on which one matches.
    matches = [
        hmac.compare_digest(one, form) for one in _given_digests(signature) for form in expected
    ]
    if not any(matches):
        raise SignatureError("its signature is wrong")
    if abs(now - int(timestamp)) > MAX_SKEW_SECONDS:
        raise SignatureError("it was signed too long ago, or the clocks differ")


def _candidate_keys(secrets: Iterable[str]) -> list[bytes]:
    keys = []
    for secret in secrets:
        keys.append(secret.encode())
        decoded = _decode_base64(secret.removeprefix("whsec_"))
        if decoded:
            keys.append(decoded)
    return keys


def _forms(key: bytes, signed: bytes) -> tuple[bytes, ...]:
    """Return the digest in hex, in base64 and in URL-safe base64, without padding."""
    digest = hmac.digest(key, signed, "sha256")
    plain = base64.b64encode(digest).rstrip(b"=")
    return digest.hex().encode(), plain, plain.translate(bytes.maketrans(b"+/", b"-_"))


def _given_digests(signature: str) -> list[bytes]:
    """Return the digests of the ``v1=…`` parts: base64 without padding, hex in lower case."""
    found = []
    for part in re.split(r"[\s,]+", signature)[:_MAX_SIGNATURES]:
        version, _, text = part.partition("=")
        if version == "v1":
            is_hex = re.fullmatch(r"[0-9a-fA-F]{64}", text) is not None
            found.append((text.lower() if is_hex else text.rstrip("=")).encode(errors="replace"))
    return found


def _decode_base64(text: str) -> bytes | None:
    plain = text.translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except ValueError:
        return None
