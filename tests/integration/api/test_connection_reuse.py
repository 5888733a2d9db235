"""Status checks reuse connections and replace those that cannot be used again."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading

import pytest
from support.raw_server import certificate, http, plain_network, raw_server  # noqa: F401

from mulequeue.api.parsing import TaskReply
from mulequeue.api.status_checks import StatusClient
from mulequeue.settings import Profile

PATH = "/vendors/alibaba/v1/wan2.6-t2i/generation"
PENDING = json.dumps({"task_info": {"status": "pending"}})
pytestmark = pytest.mark.usefixtures("plain_network")


def check(url, *remote_ids, at_once=False, seconds=5):
    """Check these ids one after the other, or concurrently; return the results."""

    async def run():
        profile = Profile(name="default", base_url=url, api_key="sk-mr-key")
        async with StatusClient() as checks:
            calls = [checks.fetch(profile, PATH, id, timeout_seconds=seconds) for id in remote_ids]
            return await asyncio.gather(*calls) if at_once else [await call for call in calls]

    return asyncio.run(run())


def states(found):
    return [reply.state if isinstance(reply, TaskReply) else reply.reason for reply in found]


def test_checks_share_a_connection_and_keep_no_cookies():
    """Checks one after the other use one connection, send the key, and send no cookie back."""
    with raw_server(http("200 OK", PENDING, Set_Cookie="a=b; Path=/")) as server:
        assert ["active"] * 3 == states(check(server.url, "a", "b", "c"))

    assert 1 == server.connections
    assert [f"GET {PATH}/{name} HTTP/1.1" for name in "abc"] == [r.line for r in server.requests]
    headers = server.requests[-1].headers
    assert "cookie" not in headers
    assert (f"127.0.0.1:{server.port}", "Bearer sk-mr-key") == (
        headers["host"],
        headers["authorization"],
    )
    assert headers["user-agent"].startswith("mulequeue/")


def test_concurrent_checks_have_a_connection_each():
    """Two concurrent checks never share a connection."""
    together = threading.Barrier(2)

    def answer(connection, request, state):
        together.wait(5)
        connection.sendall(http("200 OK", PENDING))

    with raw_server(answer) as server:
        assert ["active"] * 2 == states(check(server.url, "a", "b", at_once=True))

    assert 2 == server.connections


def test_a_check_is_repeated_if_its_connection_was_closed():
    """If the server closes a reused connection, the check is repeated over a new one."""

    answered = []

    def answer_once(connection, request, state):
        if connection in answered:
            raise ConnectionAbortedError  # the second question on the same connection
        answered.append(connection)
        connection.sendall(http("200 OK", PENDING))

    with raw_server(answer_once) as server:
        assert ["active"] * 2 == states(check(server.url, "a", "b"))

    assert ["a", "b", "b"] == [r.line.split()[1][-1] for r in server.requests]


@pytest.mark.parametrize(
    "answer",
    [
        http("200 OK", PENDING, Connection="close"),
        http("200 OK", PENDING).replace(b"HTTP/1.1", b"HTTP/1.0"),
        http("200 OK", PENDING) + b"more",
    ],
    ids=["connection: close", "HTTP/1.0", "more than asked for"],
)
def test_a_connection_that_ends_is_replaced(answer):
    """After a response that ends the connection, or has bytes behind it, a new one is used."""
    with raw_server(answer) as server:
        assert ["active"] * 2 == states(check(server.url, "a", "b"))

    assert 2 == server.connections


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"220 mail.example ESMTP\r\n",
    ],
    ids=["a chunk without a size", "a transfer coding", "another protocol", "no HTTP"],
)
def test_a_connection_with_an_unreadable_response_is_replaced(answer):
    """After an unreadable response the rest could be read as the next one, so a new one is used."""
    with raw_server(answer) as server:
        found = states(check(server.url, "a", "b"))

    assert all(reason.startswith("the response is not readable") for reason in found)
    assert 2 == server.connections


@pytest.mark.parametrize(
    "answer",
    [
        http("200 OK", gzip.compress(PENDING.encode()), Content_Encoding="gzip"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"%x\r\n%s\r\n0\r\n\r\n" % (len(PENDING), PENDING.encode()),
    ],
    ids=["gzip", "chunked"],
)
def test_answers_come_packed_and_in_chunks(answer):
    """Compressed and chunked responses are read, and keep the connection."""
    with raw_server(answer) as server:
        assert ["active"] * 2 == states(check(server.url, "a", "b"))

    assert 1 == server.connections


def test_a_late_response_is_never_read_by_the_next_check():
    """A connection whose response is late is closed, so that the next check cannot receive it."""
    is_asked = threading.Event()

    def answer(connection, request, state):
        name = request.line.split()[1].rpartition("/")[2]
        if name == "b":
            is_asked.set()
        is_asked.wait(5)
        connection.sendall(http("200 OK", json.dumps({"task_info": {"id": name}})))

    with raw_server(answer) as server:
        late, found = check(server.url, "a", "b", seconds=0.5)

    assert ("TimeoutError: no response in time", "b") == (late.reason, found.remote_id)
    assert 2 == server.connections


def test_an_answer_to_another_question_is_not_taken():
    """If the responses of a reused connection are one behind, the check uses a new one."""
    asked = []

    def answer(connection, request, state):
        asked.append(request.line.split()[1].rpartition("/")[2])
        is_behind = state.connections == 1 and len(asked) > 1
        task = {"id": asked[-2] if is_behind else asked[-1], "status": "completed"}
        connection.sendall(http("200 OK", json.dumps({"task_info": task})))

    with raw_server(answer) as server:
        found = check(server.url, "a", "b", "c")

    assert ["a", "b", "c"] == [reply.remote_id for reply in found]
    assert ["a", "b", "b", "c"] == asked
    assert 2 == server.connections


def test_https_is_verified(tmp_path, monkeypatch):
    """The key is not sent to a server with an unknown certificate; with its CA it is."""
    context, bundle = certificate(tmp_path)
    with raw_server(http("200 OK", PENDING), tls=context) as server:
        url = f"https://127.0.0.1:{server.port}"
        (refused,) = states(check(url, "a"))
        asked_before = len(server.requests)
        monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
        assert ["active"] * 2 == states(check(url, "a", "b"))

    assert 0 == asked_before
    assert "SSL_CERT_FILE" in refused


def test_a_proxy_is_asked_where_one_is_named(monkeypatch):
    """Checks go through the proxy of the environment, except to hosts in NO_PROXY."""
    with raw_server(http("200 OK", PENDING)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert ["active"] == states(check("http://api.example", "a"))
        with raw_server(http("200 OK", PENDING)) as direct:
            monkeypatch.setenv("NO_PROXY", "127.0.0.1")
            assert ["active"] == states(check(direct.url, "b"))

    assert [f"GET http://api.example{PATH}/a HTTP/1.1"] == [r.line for r in proxy.requests]
    assert [f"GET {PATH}/b HTTP/1.1"] == [r.line for r in direct.requests]
