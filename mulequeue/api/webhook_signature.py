"""The signature of MuleRouter's webhooks.

The API's webhook page: ``X-MuleRouter-Webhook-Signature`` is ``v1=`` and the HMAC-SHA256 of
``{X-MuleRouter-Webhook-Id}.{X-MuleRouter-Webhook-Timestamp}.{raw body}``. It leaves open whether
the digest is written in hex or base64, and whether the key is the secret's text or what its base64
says, so both are taken. (It is not the Standard Webhooks scheme; its verifiers refuse it.)
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping

ID_HEADER = "X-MuleRouter-Webhook-Id"
TIMESTAMP_HEADER = "X-MuleRouter-Webhook-Timestamp"
SIGNATURE_HEADER = "X-MuleRouter-Webhook-Signature"
MAX_SKEW_SECONDS = 300.0
_DIGEST_BYTES = hashlib.sha256().digest_size
_MAX_SIGNATURES = 4  # room for a secret that is being replaced


class SignatureError(ValueError):
    """The webhook is not signed by who knows a secret, or not now; the text says what is wrong."""


def check_signature(
    headers: Mapping[str, str], body: bytes, *, secrets: Iterable[str], now: float
) -> None:
    """Let pass only what was signed with one of the secrets, about now. In constant time.

    :param headers: of the request; upper and lower case do not matter.
    :param body: exactly as it arrived.
    :param secrets: as the console shows them (``whsec_…``).
    :param now: unix seconds; the timestamp may be 300 seconds away from it.
    :raises SignatureError: anything else.
    """
    given = {name.lower(): value for name, value in headers.items()}
    name, timestamp, signature = (
        given.get(header.lower(), "") for header in (ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER)
    )
    if not (name and timestamp and signature):
        raise SignatureError("not signed")
    if not re.fullmatch(r"[0-9]{1,12}", timestamp):
        raise SignatureError("its timestamp is no number of seconds")
    signed = f"{name}.{timestamp}.".encode(errors="replace") + body
    digests = [hmac.digest(key, signed, "sha256") for key in _keys(secrets)]
    # Every pair is compared, whichever fits: the time tells nothing.
    fits = [
        hmac.compare_digest(one, digest) for one in _digests_in(signature) for digest in digests
    ]
    if not any(fits):
        raise SignatureError("its signature is wrong")
    if abs(now - int(timestamp)) > MAX_SKEW_SECONDS:
        raise SignatureError("it was signed too long ago, or the clocks disagree")


def _keys(secrets: Iterable[str]) -> list[bytes]:
    keys = []
    for secret in secrets:
        keys.append(secret.encode())
        decoded = _base64(secret.removeprefix("whsec_"))
        if decoded:
            keys.append(decoded)
    return keys


def _digests_in(signature: str) -> list[bytes]:
    """What ``v1=…`` holds, in hex or in base64 of either alphabet, with or without padding."""
    found = []
    for part in re.split(r"[\s,]+", signature)[:_MAX_SIGNATURES]:
        version, _, text = part.partition("=")
        if version == "v1":
            found += [digest for digest in (_hex(text), _base64(text)) if digest is not None]
    return [digest for digest in found if len(digest) == _DIGEST_BYTES]


def _hex(text: str) -> bytes | None:
    try:
        return binascii.unhexlify(text)
    except ValueError:  # not ASCII, an odd length, another character
        return None


def _base64(text: str) -> bytes | None:
    plain = text.translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except ValueError:
        return None
