"""Sessions of downloads and notifications: addresses, proxies, TLS, and total deadlines."""

from __future__ import annotations

import contextlib
import socket
import sys

import pytest
import requests
from support.raw_server import (  # noqa: F401
    certificate,
    drip,
    http,
    plain_network,
    raw_server,
)

from mulequeue.errors import ConfigurationError
from mulequeue.net.address_guard import AddressGuard, AddressRefused
from mulequeue.net.environment import USER_AGENT, ca_bundle, proxy_for
from mulequeue.net.guarded_session import TransferSession

pytestmark = pytest.mark.usefixtures("plain_network")

STRICT = AddressGuard()
OPEN = AddressGuard(allow_private=True)


def session(guard=OPEN):
    return TransferSession(guard)


def test_the_connected_peer_is_checked_before_a_byte_is_sent(tmp_path):
    """A public-looking name is rejected if the connected peer has a private address."""
    context, _ = certificate(tmp_path)
    with raw_server(http("200 OK"), tls=context) as server:
        with session(STRICT) as strict, pytest.raises(AddressRefused, match="localhost"):
            strict.get(f"https://localhost:{server.port}/", timeout=5)
        assert server.ended.wait(5)

    assert 1 == server.connections
    assert not server.first_bytes.is_set()
    assert [] == server.requests


def test_behind_a_proxy_the_host_is_checked(monkeypatch):
    """With a proxy the URL's host is checked, and a private one never reaches the proxy."""
    with raw_server(http("200 OK")) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        for url in ("https://10.0.0.1/", "https://localhost/", "https://[::1]/"):
            with session(STRICT) as strict, pytest.raises(AddressRefused):
                strict.get(url, timeout=5)

    assert 0 == proxy.connections


def test_a_private_proxy_is_used_for_public_hosts(monkeypatch):
    """The proxy of the environment may have a private address."""
    with raw_server(http("503 Service Unavailable")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with session(STRICT) as strict, pytest.raises(requests.exceptions.ProxyError):
            strict.get("https://nowhere.invalid/", timeout=5)

    (request,) = proxy.requests
    assert request.line.startswith("CONNECT nowhere.invalid:443 ")


def test_no_proxy_is_obeyed(monkeypatch):
    """NO_PROXY excludes hosts and networks, by the same function for all connections."""
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "127.0.0.0/8,.internal.example")

    assert "http://proxy.example:3128" == proxy_for("https://api.mulerouter.ai")
    assert proxy_for("https://127.0.0.1:1") is None
    assert proxy_for("https://a.internal.example") is None
    assert proxy_for("http://api.mulerouter.ai") is None


def test_the_proxy_follows_the_environment(monkeypatch):
    """The proxy is cached for one environment and looked up again in another."""
    url = "https://assets.example/a?b=c"
    monkeypatch.setenv("https_proxy", "one.example:1")
    assert "http://one.example:1" == proxy_for(url)
    monkeypatch.setenv("https_proxy", "two.example:2")
    assert "http://two.example:2" == proxy_for(url)
    monkeypatch.setenv("NO_PROXY", "assets.example")
    assert proxy_for(url) is None
    assert "http://two.example:2" == proxy_for("https://other.example/")


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_tls_is_verified_against_the_bundle_of_the_environment(variable, tmp_path, monkeypatch):
    """An unknown certificate is rejected; with a bundle that contains it, it is accepted."""
    context, bundle = certificate(tmp_path)
    with raw_server(http("200 OK", "ok"), tls=context) as server:
        url = f"https://127.0.0.1:{server.port}/"
        with session() as distrusting, pytest.raises(requests.exceptions.SSLError):
            distrusting.get(url, timeout=5)
        monkeypatch.setenv(variable, str(bundle))
        with session() as trusting:
            assert b"ok" == trusting.get(url, timeout=5).content


def test_a_bundle_that_is_missing_is_named(monkeypatch):
    """A CA bundle that does not exist is a configuration error."""
    monkeypatch.setenv("CURL_CA_BUNDLE", "nowhere.pem")

    with pytest.raises(ConfigurationError, match="CURL_CA_BUNDLE"):
        ca_bundle()


def test_requests_carry_nothing_but_the_user_agent(tmp_path, monkeypatch):
    """No .netrc, cookies or credentials are sent: all hosts get the same headers."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with raw_server(http("200 OK", Set_Cookie="a=b; Path=/")) as server, session() as open_:
        for _ in range(2):
            open_.get(server.url, timeout=5).close()

    for request in server.requests:
        assert {"host", "user-agent", "accept", "accept-encoding"} == set(request.headers)
        assert USER_AGENT == request.headers["user-agent"]


def test_a_redirect_is_an_answer():
    """The session follows no redirect."""
    answer = http("302 Found", Location="https://example.com/")
    with raw_server(answer) as server, session() as open_:
        assert 302 == open_.get(server.url, timeout=5).status_code

    assert 1 == len(server.requests)


def test_nothing_is_tried_twice():
    """A connection that breaks is an error, and the request is not repeated."""

    def vanish(connection, request, state):
        raise ConnectionAbortedError

    lost = pytest.raises(requests.exceptions.ConnectionError)
    with raw_server(vanish) as server, session() as open_, lost:
        open_.get(server.url, timeout=5)

    assert 1 == len(server.requests)


def test_a_refused_connection_is_not_tried_twice():
    """A refused connection is tried once."""
    tried = []
    sys.addaudithook(lambda event, args: event == "socket.connect" and tried.append(args[1]))
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]

    with session() as open_, pytest.raises(requests.exceptions.ConnectionError):
        open_.get(f"http://127.0.0.1:{port}/", timeout=5)

    assert 1 == tried.count(("127.0.0.1", port))


def test_a_total_deadline_cuts_a_dripping_body():
    """A body that comes byte by byte is cut, though no single read times out."""
    with raw_server(drip(b"HTTP/1.1 200 OK\r\n\r\n")) as server, session() as open_:
        with open_.total_deadline(0.3), contextlib.suppress(Exception):
            open_.get(server.url, timeout=60).raw.read()

        assert open_.was_aborted


def test_headers_that_are_cut_are_no_answer():
    """Headers that are incomplete at the deadline raise an error."""
    late = pytest.raises(requests.exceptions.Timeout)
    dripping = drip(b"HTTP/1.1 200 OK\r\nX: ")
    with raw_server(dripping) as server, session() as open_, open_.total_deadline(0.3), late:
        open_.get(server.url, timeout=60)


def test_a_total_deadline_cuts_a_handshake():
    """A server that accepts and then says nothing is cut during the TLS handshake too."""
    with socket.create_server(("127.0.0.1", 0)) as silent, session() as open_:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        with open_.total_deadline(0.3), pytest.raises(requests.exceptions.RequestException):
            open_.get(url, timeout=60)

        assert open_.was_aborted


def test_a_deadline_that_was_kept_aborts_nothing():
    """A session that finished before its deadline can be used again."""
    with raw_server(http("200 OK", "ok")) as server, session() as open_:
        with open_.total_deadline(30):
            assert b"ok" == open_.get(server.url, timeout=5).content

        assert not open_.was_aborted
        assert b"ok" == open_.get(server.url, timeout=5).content
