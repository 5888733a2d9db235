"""The API key: to which host it is sent, and how it is checked."""

from __future__ import annotations

import asyncio

import pytest
from support.api_calls import GONE, ID, KEY, PATH, PENDING, profile_of, submit
from support.raw_server import http, raw_server

from mulequeue.api import client
from mulequeue.api.status_checks import StatusClient, check_key
from mulequeue.settings import Settings


@pytest.mark.parametrize("key", [KEY + "\r\nX-Evil: 1", KEY + " ", "“" + KEY + "”", "kéy"])
def test_a_key_that_cannot_be_a_header_is_not_sent(fetch, key):
    """A key with invalid characters is an error that does not quote it, and adds no header."""
    with raw_server(http("202 Accepted", PENDING)) as server:
        settings = Settings()
        sent = client.submit_once(profile_of(server.url, key), PATH, {}, settings=settings)
        fetched = fetch(server.url, key=key)

    assert isinstance(sent, client.NotSent)
    assert isinstance(fetched, client.Transient)
    assert [] == server.requests
    for reason in (sent.reason, fetched.reason):
        assert "Copy it again" in reason
        assert KEY not in reason


def test_netrc_is_never_read(fetch, tmp_path, monkeypatch):
    """A .netrc entry for the API's host changes no request."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with raw_server(http("202 Accepted", PENDING)) as server:
        submit(server.url)
        fetch(server.url)

    assert [f"Bearer {KEY}"] * 2 == [r.headers["authorization"] for r in server.requests]


def test_the_key_goes_to_the_base_url_only(fetch):
    """No api_path can change the host of a request."""
    with raw_server(http("200 OK", PENDING)) as server:
        fetch(server.url, path="@evil.example/v1")
        fetch(server.url, path="//evil.example/v1")
        fetch(server.url, path="/v1/a b\r\nX: 1")

    assert [
        f"GET /@evil.example/v1/{ID} HTTP/1.1",
        f"GET /evil.example/v1/{ID} HTTP/1.1",
        f"GET /v1/a%20b%0D%0AX:%201/{ID} HTTP/1.1",
    ] == [r.line for r in server.requests]


@pytest.mark.parametrize(
    ("answer", "works"),
    [
        (http("401 Unauthorized", '{"error_code":1001,"title":"Invalid API key"}'), False),
        (http("404 Not Found", GONE), True),
        (http("404 Not Found", '{"status":404,"title":"Not Found"}'), None),
        (http("403 Forbidden", "<html>1010</html>"), None),
        (http("502 Bad Gateway"), None),
    ],
)
def test_a_key_is_checked_without_creating_anything(answer, works):
    """401 means a wrong key, "does not exist" a working one; others are inconclusive."""
    with raw_server(answer) as server:

        async def check():
            async with StatusClient() as checks:
                return await check_key(checks, profile_of(server.url), PATH)

        checked = asyncio.run(check())

    assert works is checked.works
    assert checked.reason
    assert server.requests[0].line.startswith(f"GET {PATH}/")
