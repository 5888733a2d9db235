"""Create requests that fail before their first byte is sent; they may be repeated."""

from __future__ import annotations

import socket

import pytest
from support.api_calls import PATH, PENDING, submit
from support.raw_server import certificate, http, raw_server

from mulequeue.api import client


def test_a_refused_connection_is_not_sent():
    """If nothing listens on the port, nothing was sent, and the request may be repeated."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]

    assert isinstance(submit(f"http://127.0.0.1:{port}"), client.NotSent)


def test_an_unknown_host_is_not_sent():
    """If the host has no address, nothing was sent."""
    assert isinstance(submit("http://nowhere.invalid"), client.NotSent)


def test_a_request_that_cannot_be_written_is_not_sent():
    """If its target cannot be a line of HTTP, that is found out before the first byte leaves."""
    with raw_server(http("202 Accepted", PENDING)) as server:
        result = submit(f"{server.url}/m\u00fcle")

    assert isinstance(result, client.NotSent)
    assert [] == server.requests


def test_a_tls_handshake_that_hangs_is_not_sent():
    """If the deadline passes before the connection is established, nothing was sent."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        result = submit(f"https://127.0.0.1:{silent.getsockname()[1]}", seconds=0.3)

    assert isinstance(result, client.NotSent)


def test_an_untrusted_certificate_is_not_sent(tmp_path, monkeypatch):
    """TLS is always verified; with the right CA bundle the same request goes through."""
    context, bundle = certificate(tmp_path)
    with raw_server(http("202 Accepted", PENDING), tls=context) as server:
        url = f"https://127.0.0.1:{server.port}"
        distrusted = submit(url)
        monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
        trusted = submit(url)

    assert isinstance(distrusted, client.NotSent)
    assert "SSL_CERT_FILE" in distrusted.reason
    assert isinstance(trusted, client.Accepted)
    assert 1 == len(server.requests)


def test_a_missing_ca_bundle_is_not_sent(monkeypatch):
    """A CA bundle that does not exist is named in the reason, and nothing is sent."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "nowhere/ca.pem")

    result = submit("https://127.0.0.1:9")

    assert isinstance(result, client.NotSent)
    assert "REQUESTS_CA_BUNDLE" in result.reason


def test_a_proxy_that_refuses_the_tunnel_is_not_sent(monkeypatch):
    """If CONNECT fails, nothing was sent; the reason does not contain the proxy's password."""
    with raw_server(http("503 Service Unavailable", Retry_After="9")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:hunter2@127.0.0.1:{proxy.port}")
        result = submit("https://api.example.com")

    assert isinstance(result, client.NotSent)
    assert proxy.requests[0].line.startswith("CONNECT api.example.com:443")
    assert "authorization" not in proxy.requests[0].headers
    assert "hunter2" not in result.reason


def test_a_proxy_is_used_and_no_proxy_obeyed(monkeypatch):
    """Requests go through HTTP_PROXY, except to hosts in NO_PROXY."""
    with (
        raw_server(http("202 Accepted", PENDING)) as proxy,
        raw_server(http("202 Accepted", PENDING)) as server,
    ):
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        through = submit("http://api.example.com")
        past = submit(server.url)

    assert isinstance(through, client.Accepted)
    assert isinstance(past, client.Accepted)
    assert [f"POST http://api.example.com{PATH} HTTP/1.1"] == [r.line for r in proxy.requests]
    assert 1 == len(server.requests)


def test_a_network_that_asks_for_a_login_did_not_forward_it():
    """A 511 comes from the network of this machine, so nothing was created."""
    with raw_server(http("511 Network Authentication Required", "<html>")) as server:
        result = submit(server.url)

    assert isinstance(result, client.NotSent)
    assert "login" in result.reason


def test_it_is_not_sent_when_it_is_too_late():
    """If ``not_after`` returns True once the connection is established, no byte is sent."""
    with raw_server(http("202 Accepted", PENDING)) as server:
        result = submit(server.url, not_after=lambda: True)
        assert server.ended.wait(5)

    assert isinstance(result, client.NotSent)
    assert 1 == server.connections
    assert not server.first_bytes.is_set()


def test_the_last_question_comes_after_the_connection():
    """``not_after`` is called after the connection is established, not before."""
    was_connected = []
    with raw_server(http("202 Accepted", PENDING)) as server:

        def too_late():
            was_connected.append(server.connected.wait(5))
            return False

        assert isinstance(submit(server.url, not_after=too_late), client.Accepted)

    assert [True] == was_connected


@pytest.mark.parametrize("body", [{"x": float("nan")}, {"x": {1, 2}}, {"x": "\ud800"}])
def test_what_is_no_json_is_refused_before_anything_is_sent(body):
    """A body that cannot be written as JSON is rejected without a connection."""
    with raw_server(http("202 Accepted", PENDING)) as server:
        result = submit(server.url, body)

    assert "InputError" == result.error.type
    assert 0 == server.connections
