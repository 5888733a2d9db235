"""The address guard accepts public addresses over https only."""

from __future__ import annotations

import ipaddress

import pytest

from mulequeue.net.address_guard import AddressGuard, AddressRefused, is_public

STRICT = AddressGuard()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:7f00:1::",
        "2001:db8::1",
        "nonsense",
    ],
)
def test_what_is_not_public_is_refused(address):
    """Private, loopback, link-local, shared, multicast and reserved addresses are rejected."""
    with pytest.raises(AddressRefused, match="mulequeue_allow_private_addresses"):
        STRICT.check_address(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_public_addresses_pass(address):
    """Public addresses are accepted, also embedded in IPv6."""
    STRICT.check_address(address)
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/x",
        "file:///etc/passwd",
        "https://",
        "example.com",
        "https://[::1",
        "https://example.com:99999/",
        "http://example.com/x",
        "https://user:secret@example.com/",
        "https://127.0.0.1/",
        "https://[::ffff:10.0.0.1]/",
        "https://2130706433.0.0.1.example:bad/",
    ],
)
def test_urls_are_rejected_without_dns(url):
    """Other schemes, plain http, credentials and private literals are rejected without DNS."""
    with pytest.raises(AddressRefused) as refused:
        STRICT.check_url(url)

    assert "secret" not in str(refused.value)


def test_a_query_is_not_repeated_in_the_message():
    """The error does not contain the signature in an asset's URL."""
    with pytest.raises(AddressRefused) as refused:
        STRICT.check_url("http://example.com/x?Signature=abc")

    assert "Signature" not in str(refused.value)


def test_a_name_is_resolved_when_asked():
    """With ``resolve`` the host's addresses are checked; a host without addresses is accepted."""
    STRICT.check_url("https://localhost/")
    with pytest.raises(AddressRefused, match="localhost"):
        STRICT.check_url("https://localhost/", resolve=True)
    STRICT.check_url("https://nowhere.invalid/", resolve=True)
