"""How webhooks are signed."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from mulequeue.emulator.webhook_endpoints import Endpoint, new_secret

RAW = b"0123456789abcdef"
SECRET = "whsec_" + base64.b64encode(RAW).decode()


def headers(**options):
    endpoint = Endpoint(url="http://x", secret=SECRET, **options)
    return endpoint.headers("whd_1", 1_700_000_000.9, b'{"id": 1}')


@pytest.mark.parametrize(
    ("options", "key", "written"),
    [
        ({}, SECRET.encode(), bytes.hex),
        ({"key": "decoded"}, RAW, bytes.hex),
        ({"encoding": "base64"}, SECRET.encode(), lambda digest: base64.b64encode(digest).decode()),
    ],
)
def test_the_signature_covers_id_timestamp_and_raw_body(options, key, written):
    """HMAC-SHA256 over the three with dots between, behind ``v1=``, in either encoding and key."""
    digest = hmac.new(key, b'whd_1.1700000000.{"id": 1}', hashlib.sha256).digest()

    signed = headers(**options)

    assert f"v1={written(digest)}" == signed["X-MuleRouter-Webhook-Signature"]
    assert "whd_1" == signed["X-MuleRouter-Webhook-Id"]
    assert "1700000000" == signed["X-MuleRouter-Webhook-Timestamp"]


def test_a_bad_signature_is_another_one_and_a_missing_one_is_none():
    """Both look like a forgery to the receiver."""
    good, bad, missing = (headers(signature=word) for word in ("good", "bad", "missing"))
    name = "X-MuleRouter-Webhook-Signature"

    assert good[name] != bad[name]
    assert len(good[name]) == len(bad[name])
    assert name not in missing


def test_a_stale_timestamp_is_signed_as_it_is():
    """An old delivery replayed: the signature is right, the time is not."""
    stale = headers(stale_seconds=600)

    endpoint = Endpoint(url="http://x", secret=SECRET)
    assert "1699999400" == stale["X-MuleRouter-Webhook-Timestamp"]
    expected = endpoint.sign("whd_1", "1699999400", b'{"id": 1}')
    assert f"v1={expected}" == stale["X-MuleRouter-Webhook-Signature"]


def test_every_endpoint_gets_a_secret_of_its_own():
    """Unset secrets differ, and are whsec_ and base64."""
    secrets = {Endpoint(url="http://x").secret, Endpoint(url="http://x").secret, new_secret()}

    assert 3 == len(secrets)
    assert all(32 == len(base64.b64decode(item.removeprefix("whsec_"))) for item in secrets)
