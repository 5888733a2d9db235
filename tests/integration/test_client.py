"""Create requests and status checks against servers that misbehave in every way that was thought of."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import subprocess
import sys
import textwrap

import pytest
from support.raw_server import (  # noqa: F401
    certificate,
    drip,
    flood,
    hang_up,
    http,
    plain_network,
    raw_server,
    say_nothing,
)

from mulequeue import client, wire
from mulequeue.checks import Checks
from mulequeue.http import api_session
from mulequeue.settings import Profile, Settings

KEY = "sk-mr-" + "0123456789abcdef" * 4
PATH = "/vendors/alibaba/v1/wan2.6-t2i/generation"
pytestmark = pytest.mark.usefixtures("plain_network")

ID = "5f0c2a4e-6b1d-4a53-9b41-3f1c8f0a7d11"
PENDING = json.dumps({"task_info": {"id": ID, "status": "pending"}})
FAILED = {"status": "failed", "error": {"code": 3001, "title": "Invalid Request", "detail": "no"}}
PROBLEM = json.dumps({"status": 400, "title": "Bad", "detail": "n is 9", "error_code": 2001})
GONE = json.dumps(
    {"status": 404, "error_code": 2005, "detail": f"Task with ID {ID} does not exist"}
)


def profile_of(url: str, key: str = KEY) -> Profile:
    return Profile(name="default", base_url=url, api_key=key)


def submit(url, body=None, *, seconds=5.0, **options):
    settings = Settings(submit_timeout_seconds=seconds)
    given = {"prompt": "a mule"} if body is None else body
    return client.submit_once(profile_of(url), PATH, given, settings=settings, **options)


@pytest.fixture(params=["aiohttp", "lines"])
def fetch(request):
    """One status check, in each of the two ways there are."""

    def fetch(url, remote_id=ID, *, seconds=5.0, key=KEY, path=PATH):
        settings, profile = Settings(poll_timeout_seconds=seconds), profile_of(url, key)
        if request.param == "aiohttp":
            return client.fetch_once(profile, path, remote_id, settings=settings)
        return asyncio.run(over_lines(settings, profile, path, remote_id))

    return fetch


async def over_lines(settings, profile, path, *remote_ids):
    checks, found = Checks(settings, limit=1), None
    for remote_id in remote_ids:
        found = await checks.fetch(
            profile, path, remote_id, timeout_seconds=settings.poll_timeout_seconds
        )
    await checks.close()
    return found


# Submit


def test_a_create_request_is_sent_exactly_as_given():
    """One POST on a connection of its own carries the user's body, the key, and nothing else."""
    body = {"prompt": "ein Maultier — 騾馬", "n": 2, "nested": {"a": [1.5, None, True]}}
    with raw_server(http("202 Accepted", PENDING, Traceparent="00-ab-cd-01")) as server:
        accepted = submit(server.url, body)
        server.ended.wait(5)

    assert isinstance(accepted, client.Accepted)
    assert (ID, "active") == (accepted.reply.remote_id, accepted.reply.state)
    assert "00-ab-cd-01" == accepted.trace_id
    (request,) = server.requests
    assert f"POST {PATH} HTTP/1.1" == request.line
    assert json.dumps(body, ensure_ascii=False).encode() == request.body
    assert f"Bearer {KEY}" == request.headers["authorization"]
    assert request.headers["user-agent"].startswith("mulequeue/")
    assert "close" == request.headers["connection"]
    assert 1 == server.connections


ANSWERS = {
    "200 with an id": (http("200 OK", PENDING), client.Accepted),
    "201 with task_id": (http("201 Created", '{"task_info":{"task_id":"7"}}'), client.Accepted),
    "gzip": (
        http("202 Accepted", gzip.compress(PENDING.encode()), Content_Encoding="gzip"),
        client.Accepted,
    ),
    "id and already failed": (
        http("200 OK", json.dumps({"task_info": {"id": ID, **FAILED}})),
        client.Accepted,
    ),
    "failed without an id": (http("200 OK", json.dumps({"task_info": FAILED})), client.Refused),
    "completed without id and files": (
        http("200 OK", '{"task_info":{"status":"completed"}}'),
        client.Unknown,
    ),
    "2xx without an id": (http("202 Accepted", '{"task_info":{}}'), client.Unknown),
    "2xx that is not JSON": (http("200 OK", "<html>ok</html>"), client.Unknown),
    "2xx of another shape": (http("200 OK", '{"result":1}'), client.Unknown),
    "2xx nested to death": (http("200 OK", "[" * 200_000), client.Unknown),
    "2xx empty": (http("200 OK"), client.Unknown),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", client.Unknown),
    "2xx broken gzip": (http("200 OK", b"nonsense", Content_Encoding="gzip"), client.Unknown),
    "2xx unknown encoding": (http("200 OK", PENDING, Content_Encoding="br"), client.Unknown),
    "2xx gzip bomb": (
        http("200 OK", gzip.compress(b" " * 50 * 1024**2), Content_Encoding="gzip"),
        client.Unknown,
    ),
    "2xx larger than 1 MiB": (http("200 OK", " " * 2**20 + PENDING), client.Unknown),
    "2xx cut short": (http("200 OK", PENDING[:9], Content_Length="90"), client.Unknown),
    "400 problem": (http("400 Bad Request", PROBLEM), client.Refused),
    "400 envelope": (
        http("400 Bad Request", json.dumps({"task_info": FAILED})),
        client.Refused,
    ),
    "401": (http("401 Unauthorized", "{}"), client.Refused),
    "402": (http("402 Payment Required", '{"error_code":1003}'), client.Refused),
    "403 JSON": (http("403 Forbidden", '{"title":"no"}'), client.Refused),
    "403 HTML": (http("403 Forbidden", "<html>1010</html>"), client.Refused),
    "404": (http("404 Not Found", '{"status":404,"title":"Not Found"}'), client.Refused),
    "409": (http("409 Conflict", "{}"), client.Refused),
    "422": (http("422 Unprocessable", "{}"), client.Refused),
    "451": (http("451 Unavailable For Legal Reasons"), client.Refused),
    "429": (http("429 Too Many Requests", "{}"), client.NotCreated),
    "429 with Retry-After": (
        http("429 Too Many Requests", "{}", Retry_After="7"),
        client.NotCreated,
    ),
    "503 with Retry-After": (
        http("503 Service Unavailable", Retry_After="7"),
        client.NotCreated,
    ),
    "503": (http("503 Service Unavailable"), client.Unknown),
    "500": (http("500 Internal Server Error", PROBLEM), client.Unknown),
    "502": (http("502 Bad Gateway", "<html>"), client.Unknown),
    "504": (http("504 Gateway Timeout"), client.Unknown),
    "not HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n", client.Unknown),
    "hangs up": (hang_up, client.Unknown),
}


@pytest.mark.parametrize(("answer", "came_of_it"), ANSWERS.values(), ids=ANSWERS.keys())
def test_every_answer_has_one_meaning_and_is_asked_for_once(answer, came_of_it):
    """Whatever the API answers, one request was sent and the verdict about money is the table's."""
    with raw_server(answer if callable(answer) else _then_close(answer)) as server:
        result = submit(server.url)

    assert came_of_it is type(result), result
    assert 1 == len(server.requests)
    assert KEY not in repr(result)


def _then_close(data):
    def answer(connection, request, state):
        connection.sendall(data)
        raise ConnectionAbortedError

    return answer


@pytest.mark.parametrize(
    ("answer", "type_", "code"),
    [
        (http("400 Bad Request", json.dumps({"task_info": FAILED})), "InvalidRequestError", 3001),
        (http("402 Payment Required", '{"error_code":1003}'), "InsufficientBalance", 1003),
        (http("403 Forbidden", "<html>1010</html>"), "EdgeBlocked", None),
        (http("401 Unauthorized", '{"error_code":1001}'), "AuthenticationError", 1001),
    ],
)
def test_a_refusal_names_its_error(answer, type_, code):
    """A refused request carries the error class and the API's own number."""
    with raw_server(answer) as server:
        refused = submit(server.url)

    assert (type_, code) == (refused.error.type, refused.error.code)


def test_retry_after_is_read():
    """The pause that a 429 asks for comes back in seconds."""
    with raw_server(http("429 Too Many Requests", "{}", Retry_After="7")) as server:
        assert 7.0 == submit(server.url).retry_after_seconds


def test_a_redirect_is_refused_and_not_followed():
    """A create request is never sent on to another host; the error names that host."""
    with raw_server(http("202 Accepted", PENDING)) as other:
        target = f"http://127.0.0.1:{other.port}{PATH}"
        with raw_server(http("307 Temporary Redirect", Location=target)) as server:
            refused = submit(server.url)

    assert "InvalidRequestError" == refused.error.type
    assert "127.0.0.1" in refused.error.title
    assert [] == other.requests


def test_an_endless_answer_is_cut():
    """An answer without an end is left after 1 MiB, and nobody knows what it would have said."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
    with raw_server(flood(head)) as server:
        result = submit(server.url)

    assert isinstance(result, client.Unknown)
    assert "larger" in result.reason


def test_a_huge_error_body_is_read_in_part():
    """The verdict of a 4xx stands although its body of many megabytes is never read to its end."""
    head = b"HTTP/1.1 422 No\r\nContent-Type: text/html\r\nContent-Length: 99999999\r\n\r\nbad size"
    with raw_server(flood(head)) as server:
        result = submit(server.url)

    assert isinstance(result, client.Refused)
    assert "bad size" in result.error.detail


def test_silence_after_sending_is_unknown():
    """A request that is never answered ends at the total deadline as unknown."""
    with raw_server(say_nothing) as server:
        result = submit(server.url, seconds=0.3)

    assert isinstance(result, client.Unknown)


def test_the_deadline_is_total():
    """An answer that drips in, byte by byte, ends at the deadline all the same."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"
    with raw_server(drip(head)) as server:
        result = submit(server.url, seconds=0.3)

    assert isinstance(result, client.Unknown)
    assert 200 == result.status_code


def test_a_refusal_stands_even_if_its_text_never_arrives():
    """The status line of a 402 decides; its dripping body only costs the explanation."""
    head = b"HTTP/1.1 402 Payment Required\r\nContent-Length: 9999\r\n\r\n"
    with raw_server(drip(head)) as server:
        result = submit(server.url, seconds=0.3)

    assert isinstance(result, client.Refused)
    assert "InsufficientBalance" == result.error.type


def test_a_refused_connection_is_not_sent():
    """Nobody listens: nothing was sent, so it may be sent again."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]

    assert isinstance(submit(f"http://127.0.0.1:{port}"), client.NotSent)


def test_an_unknown_host_is_not_sent():
    """A name that does not resolve: nothing was sent."""
    assert isinstance(submit("http://nowhere.invalid"), client.NotSent)


def test_a_tls_handshake_that_hangs_is_not_sent():
    """A deadline that passes before the connection is up leaves nothing in doubt."""
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
    """A CA bundle that does not exist is named, and nothing leaves the machine."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "nowhere/ca.pem")

    result = submit("https://127.0.0.1:9")

    assert isinstance(result, client.NotSent)
    assert "REQUESTS_CA_BUNDLE" in result.reason


def test_a_proxy_that_refuses_the_tunnel_is_not_sent(monkeypatch):
    """A CONNECT that fails is before the request; the proxy's password stays out of the reason."""
    with raw_server(http("503 Service Unavailable", Retry_After="9")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:hunter2@127.0.0.1:{proxy.port}")
        result = submit("https://api.example.com")

    assert isinstance(result, client.NotSent)
    assert proxy.requests[0].line.startswith("CONNECT api.example.com:443")
    assert "authorization" not in proxy.requests[0].headers
    assert "hunter2" not in result.reason


def test_a_proxy_is_used_and_no_proxy_obeyed(monkeypatch):
    """HTTP_PROXY carries the request to a host it names; NO_PROXY takes a host out."""
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


def test_it_is_not_sent_when_it_is_too_late():
    """The last question is asked once the connection is up; a yes leaves it without one byte."""
    with raw_server(http("202 Accepted", PENDING)) as server:
        result = submit(server.url, not_after=lambda: True)
        assert server.ended.wait(5)

    assert isinstance(result, client.NotSent)
    assert 1 == server.connections
    assert not server.first_bytes.is_set()


def test_the_last_question_comes_after_the_connection():
    """The clock is read after the connection is up, not before."""
    was_connected = []
    with raw_server(http("202 Accepted", PENDING)) as server:

        def too_late():
            was_connected.append(server.connected.wait(5))
            return False

        assert isinstance(submit(server.url, not_after=too_late), client.Accepted)

    assert [True] == was_connected


@pytest.mark.parametrize("body", [{"x": float("nan")}, {"x": {1, 2}}, {"x": "\ud800"}])
def test_what_is_no_json_is_refused_before_anything_is_sent(body):
    """A body that cannot be written as JSON is refused without a connection."""
    with raw_server(http("202 Accepted", PENDING)) as server:
        result = submit(server.url, body)

    assert "InputError" == result.error.type
    assert 0 == server.connections


@pytest.mark.parametrize("key", [KEY + "\r\nX-Evil: 1", KEY + " ", "“" + KEY + "”", "kéy"])
def test_a_key_that_cannot_be_a_header_is_not_sent(fetch, key):
    """A mangled key is named as such, without being said, and adds no header."""
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
    """An api_path that tries to change the host stays a path on it."""
    with raw_server(http("200 OK", PENDING)) as server:
        fetch(server.url, path="@evil.example/v1")
        fetch(server.url, path="//evil.example/v1")
        fetch(server.url, path="/v1/a b\r\nX: 1")

    assert [
        f"GET /@evil.example/v1/{ID} HTTP/1.1",
        f"GET /evil.example/v1/{ID} HTTP/1.1",
        f"GET /v1/a%20b%0D%0AX:%201/{ID} HTTP/1.1",
    ] == [r.line for r in server.requests]


# Fetch


def test_a_status_check_reads_the_task(fetch):
    """A status check sends the key and brings back the task, gzip or not."""
    done = json.dumps(
        {"task_info": {"id": ID, "status": "completed"}, "images": ["https://a/b.png"]}
    )
    packed = http("200 OK", gzip.compress(done.encode()), Content_Encoding="gzip")
    for answer in (http("200 OK", done), packed):
        with raw_server(answer) as server:
            reply = fetch(server.url)

        assert isinstance(reply, wire.TaskReply)
        assert ("succeeded", ("https://a/b.png",)) == (reply.state, reply.urls)
        assert f"GET {PATH}/{ID} HTTP/1.1" == server.requests[0].line
        assert f"Bearer {KEY}" == server.requests[0].headers["authorization"]


NO_NEWS = {
    "401": http("401 Unauthorized", "{}"),
    "403": http("403 Forbidden", "{}"),
    "400": http("400 Bad Request", PROBLEM),
    "408": http("408 Request Timeout"),
    "425": http("425 Too Early"),
    "429": http("429 Too Many Requests"),
    "500": http("500 Internal Server Error"),
    "503": http("503 Service Unavailable"),
    "redirect": http("302 Found", Location="http://127.0.0.1:9/"),
    "not JSON": http("200 OK", "<html>"),
    "other JSON": http("200 OK", "[1]"),
    "nested to death": http("200 OK", "[" * 200_000),
    "oversized": http("200 OK", " " * 2**20 + PENDING),
    "gzip bomb": http("200 OK", gzip.compress(b" " * 50 * 1024**2), Content_Encoding="gzip"),
    "cut short": http("200 OK", PENDING[:9], Content_Length="90"),
    "not HTTP": b"hello\r\n\r\n",
}


@pytest.mark.parametrize("answer", NO_NEWS.values(), ids=NO_NEWS.keys())
def test_no_answer_of_a_status_check_fails_a_generation(fetch, answer):
    """Everything that is neither a task nor a 404 says nothing about the generation."""
    with raw_server(_then_close(answer)) as server:
        result = fetch(server.url)

    assert isinstance(result, client.Transient), result
    assert KEY not in repr(result)


@pytest.mark.parametrize(("asked", "kept"), [("12", 12.0), ("300", 300.0), ("3600", 300.0)])
def test_retry_after_of_a_status_check_is_read(fetch, asked: str, kept: float):
    """A 429 on a status check says how long to leave the API alone; five minutes at most."""
    with raw_server(http("429 Too Many Requests", Retry_After=asked)) as server:
        result = fetch(server.url)

    assert (429, kept) == (result.status_code, result.retry_after_seconds)


@pytest.mark.parametrize(
    "answer", [say_nothing, drip(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n")]
)
def test_a_status_check_has_a_total_deadline(fetch, answer):
    """A status check ends at its deadline, whether the server is silent or dripping."""
    with raw_server(answer) as server:
        result = fetch(server.url, seconds=0.3)

    assert isinstance(result, client.Transient)
    assert "Timeout" in result.reason


@pytest.mark.parametrize(
    ("body", "gone"), [(GONE, True), ('{"status":404,"title":"Not Found"}', False)]
)
def test_a_404_tells_a_missing_id_from_a_missing_route(fetch, body, gone):
    """Only the API's own words make a 404 the sure sign that an id does not exist."""
    with raw_server(http("404 Not Found", body)) as server:
        result = fetch(server.url)

    assert isinstance(result, client.NotFound)
    assert gone is result.gone


def test_a_remote_id_is_quoted(fetch):
    """An id with slashes or dots stays one segment of the path."""
    with raw_server(http("404 Not Found")) as server:
        fetch(server.url, "../a/b?c=1#d")
        fetch(server.url, "..")

    assert [
        f"GET {PATH}/..%2Fa%2Fb%3Fc%3D1%23d HTTP/1.1",
        f"GET {PATH}/%2E%2E HTTP/1.1",
    ] == [r.line for r in server.requests]


def test_status_checks_share_connections_and_keep_no_cookies():
    """Many checks on one session travel on one connection, and no cookie comes back."""
    with raw_server(http("200 OK", PENDING, Set_Cookie="a=b; Path=/")) as server:

        async def thrice():
            async with api_session(Settings(), limit=1) as session:
                for _ in range(3):
                    await client.fetch(session, profile_of(server.url), PATH, ID, timeout_seconds=5)

        asyncio.run(thrice())

    assert 1 == server.connections
    assert [None] * 3 == [r.headers.get("cookie") for r in server.requests]


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
    """401 means a bad key, "does not exist" a good one, anything else that nobody knows."""
    with raw_server(answer) as server:

        async def check():
            async with api_session(Settings(), limit=1) as session:
                return await client.check_key(session, profile_of(server.url), PATH)

        checked = asyncio.run(check())

    assert works is checked.works
    assert checked.reason
    assert server.requests[0].line.startswith(f"GET {PATH}/")


# Callers of every kind


def test_it_works_beside_a_running_loop():
    """The calls for synchronous code also work in a thread that already runs a loop."""
    with raw_server(http("202 Accepted", PENDING)) as server:

        async def inside():
            checked = client.fetch_once(profile_of(server.url), PATH, ID, settings=Settings())
            return submit(server.url), checked

        sent, fetched = asyncio.run(inside())

    assert isinstance(sent, client.Accepted)
    assert isinstance(fetched, wire.TaskReply)


def test_it_works_in_greenlets():
    """Greenlets of one gevent process submit and fetch at the same time."""
    pytest.importorskip("gevent", reason="gevent is not installed: pip install gevent")
    program = textwrap.dedent(
        """
        from gevent import monkey; monkey.patch_all()
        import sys, gevent
        from mulequeue import client
        from mulequeue.settings import Profile, Settings
        p = Profile(name="default", base_url=sys.argv[1], api_key="sk-mr-1")
        def one(number):
            sent = client.submit_once(p, "/v1/x", {"n": number}, settings=Settings())
            got = client.fetch_once(p, "/v1/x", sent.reply.remote_id, settings=Settings())
            return type(sent).__name__, got.state
        jobs = [gevent.spawn(one, number) for number in range(20)]
        gevent.joinall(jobs, raise_error=True)
        print({job.value for job in jobs})
        """
    )
    with raw_server(http("202 Accepted", PENDING)) as server:
        done = subprocess.run(
            [sys.executable, "-c", program, server.url], capture_output=True, text=True, timeout=60
        )

    assert "{('Accepted', 'active')}" == done.stdout.strip(), done.stderr
    assert 40 == len(server.requests)
