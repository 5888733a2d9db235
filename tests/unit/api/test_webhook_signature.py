"""Only webhooks that were signed with a known secret are accepted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.webhook import WEBHOOK_SECRET, signed

from mulequeue.api.webhook_signature import SignatureError, check_signature

NOW = 1_800_000_000.0
BODY = b'{"id": "evt_1", "type": "task.succeeded"}'
OTHER_SECRET = "whsec_b3RoZXIgc2VjcmV0"
ID, TIMESTAMP, SIGNATURE = (
    f"X-MuleRouter-Webhook-{name}" for name in ("Id", "Timestamp", "Signature")
)


def check(headers, body=BODY, secrets=(WEBHOOK_SECRET,), now=NOW):
    check_signature(headers, body, secrets=secrets, now=now)


@pytest.mark.parametrize("key", ["text", "decoded"])
@pytest.mark.parametrize("encoding", ["hex", "HEX", "base64", "urlsafe", "unpadded"])
def test_every_reading_of_the_page_is_taken(key, encoding):
    """Hex and base64 digests, and the secret's text and its decoded bytes, are accepted."""
    check(signed(BODY, at=NOW, encoding=encoding, key=key))


def test_the_example_made_elsewhere_is_taken():
    """A signature that openssl made of ``msg.1800000000.{}`` with the key ``whsec_key`` matches."""
    digest = "866a04ae1854d3b3cd3bf785fbb49dafdc4f5e5bf13d5c54ea3d7887a22ff545"
    headers = {ID: "msg", TIMESTAMP: "1800000000", SIGNATURE: f"v1={digest}"}

    check(headers, b"{}", secrets=["whsec_key"])


def test_header_names_have_no_case():
    """Header names are found in any case."""
    headers = signed(BODY, at=NOW)

    check({name.upper(): value for name, value in headers.items()})


def test_each_of_several_secrets_is_taken():
    """Each of several secrets is accepted, for a replaced secret or a second account."""
    for secret in (WEBHOOK_SECRET, OTHER_SECRET):
        check(signed(BODY, at=NOW, secret=secret), secrets=[WEBHOOK_SECRET, OTHER_SECRET])


def test_one_good_signature_of_two_is_enough():
    """One valid signature of several is enough."""
    first, second = signed(BODY, at=NOW, secret=OTHER_SECRET), signed(BODY, at=NOW)

    check({**second, SIGNATURE: f"{first[SIGNATURE]} {second[SIGNATURE]}"})


@pytest.mark.parametrize("seconds", [-300, -1, 0, 299, 300])
def test_clocks_may_differ_by_five_minutes(seconds):
    """A timestamp up to 300 seconds away from now is accepted."""
    check(signed(BODY, at=NOW + seconds))


@pytest.mark.parametrize("seconds", [-86_400, -301, 301])
def test_a_replay_is_refused(seconds):
    """A timestamp more than 300 seconds in the past or the future is rejected."""
    with pytest.raises(SignatureError, match="too long ago"):
        check(signed(BODY, at=NOW + seconds))


@pytest.mark.parametrize(
    "change",
    [
        {ID: "dlv_2"},
        {TIMESTAMP: str(int(NOW) + 1)},
        {TIMESTAMP: f"{int(NOW)}.0"},
        {TIMESTAMP: f"+{int(NOW)}"},
        {TIMESTAMP: "9" * 400},
        {TIMESTAMP: "١٨٠٠٠٠٠٠٠٠"},
        {ID: ""},
        {TIMESTAMP: ""},
        {SIGNATURE: ""},
        {SIGNATURE: "v1="},
        {SIGNATURE: "v1=" + "0" * 64},
        {SIGNATURE: "v2=" + signed(BODY, at=NOW)["X-MuleRouter-Webhook-Signature"][3:]},
        {SIGNATURE: signed(BODY, at=NOW)["X-MuleRouter-Webhook-Signature"][3:]},
        {SIGNATURE: signed(BODY, at=NOW)["X-MuleRouter-Webhook-Signature"][:-2]},
        {SIGNATURE: "v1=é" * 40},
    ],
)
def test_one_changed_header_is_refused(change):
    """A change of any of the three headers is detected."""
    with pytest.raises(SignatureError):
        check({**signed(BODY, at=NOW), **change})


@pytest.mark.parametrize("body", [b"", BODY[:-1], BODY + b" ", BODY.replace(b"1", b"2")])
def test_another_body_is_refused(body):
    """A changed body does not match its signature."""
    with pytest.raises(SignatureError, match="wrong"):
        check(signed(BODY, at=NOW), body)


@pytest.mark.parametrize("secrets", [[], [OTHER_SECRET], [WEBHOOK_SECRET + "x"], ["whsec_"]])
def test_another_secret_is_refused(secrets):
    """A signature made with an unknown secret is rejected."""
    with pytest.raises(SignatureError, match="wrong"):
        check(signed(BODY, at=NOW), secrets=secrets)


def test_an_empty_key_never_fits():
    """A secret that is only the prefix does not accept signatures made with an empty key."""
    with pytest.raises(SignatureError):
        check(signed(BODY, at=NOW, secret="whsec_", key="decoded"), secrets=["whsec_"])


@given(
    headers=st.dictionaries(
        st.sampled_from([ID, TIMESTAMP, SIGNATURE, ID.lower(), "Host"]),
        st.one_of(st.text(max_size=90), st.just(str(int(NOW))), st.text().map("v1={}".format)),
    ),
    body=st.binary(max_size=200),
)
def test_garbage_is_refused(headers, body):
    """Any request without a valid signature is rejected with one kind of error."""
    with pytest.raises(SignatureError):
        check(headers, body)
