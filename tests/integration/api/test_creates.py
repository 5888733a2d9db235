"""Create requests: the bytes sent, and whether each response allows another attempt."""

from __future__ import annotations

import gzip
import json

import pytest
from support.api_calls import FAILED, ID, KEY, PATH, PENDING, PROBLEM, submit
from support.raw_server import drip, flood, hang_up, http, raw_server, say_and_close, say_nothing

from mulequeue.api import client


def test_a_create_request_is_sent_exactly_as_given():
    """One POST on a new connection carries the user's body, the key, and nothing else."""
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
    "2xx gzip bomb": (
        http("200 OK", gzip.compress(b" " * 50 * 1024**2), Content_Encoding="gzip"),
        client.Unknown,
    ),
    "2xx larger than 1 MiB": (http("200 OK", " " * 2**21 + PENDING), client.Unknown),
    "2xx cut short": (http("200 OK", PENDING[:9], Content_Length="90"), client.Unknown),
    "400 problem": (http("400 Bad Request", PROBLEM), client.Refused),
    "400 envelope": (
        http("400 Bad Request", json.dumps({"task_info": FAILED})),
        client.Refused,
    ),
    "401": (http("401 Unauthorized", "{}"), client.RetryLater),
    "402": (http("402 Payment Required", '{"error_code":1003}'), client.RetryLater),
    "403 JSON": (http("403 Forbidden", '{"title":"no"}'), client.Refused),
    "403 HTML": (http("403 Forbidden", "<html>1010</html>"), client.Refused),
    "404": (http("404 Not Found", '{"status":404,"title":"Not Found"}'), client.Refused),
    "409": (http("409 Conflict", "{}"), client.Refused),
    "422": (http("422 Unprocessable", "{}"), client.Refused),
    "451": (http("451 Unavailable For Legal Reasons"), client.Refused),
    "429": (http("429 Too Many Requests", "{}"), client.RetryLater),
    "429 with Retry-After": (
        http("429 Too Many Requests", "{}", Retry_After="7"),
        client.RetryLater,
    ),
    "503 with Retry-After": (
        http("503 Service Unavailable", Retry_After="7"),
        client.RetryLater,
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
    """For each response exactly one request is sent, with the result in the table."""
    with raw_server(answer if callable(answer) else say_and_close(answer)) as server:
        result = submit(server.url)

    assert came_of_it is type(result), result
    assert 1 == len(server.requests)
    assert KEY not in repr(result)


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
    """A rejected request has the error class and the API's error code."""
    with raw_server(answer) as server:
        refused = submit(server.url)

    assert (type_, code) == (refused.error.type, refused.error.code)


def test_retry_after_is_read():
    """The pause of a 429 is returned in seconds."""
    with raw_server(http("429 Too Many Requests", "{}", Retry_After="7")) as server:
        assert 7.0 == submit(server.url).retry_after_seconds


def test_a_redirect_is_refused_and_not_followed():
    """A create request is never redirected to another host; the error names that host."""
    with raw_server(http("202 Accepted", PENDING)) as other:
        target = f"http://127.0.0.1:{other.port}{PATH}"
        with raw_server(http("307 Temporary Redirect", Location=target)) as server:
            refused = submit(server.url)

    assert "InvalidRequestError" == refused.error.type
    assert "127.0.0.1" in refused.error.title
    assert [] == other.requests


def test_an_endless_answer_is_cut():
    """A response without an end is cut off after 1 MiB, with an unknown result."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
    with raw_server(flood(head)) as server:
        result = submit(server.url)

    assert isinstance(result, client.Unknown)
    assert "larger" in result.reason


def test_a_huge_error_body_is_read_in_part():
    """A 4xx is final although its body of many megabytes is not read completely."""
    head = b"HTTP/1.1 422 No\r\nContent-Type: text/html\r\nContent-Length: 99999999\r\n\r\nbad size"
    with raw_server(flood(head)) as server:
        result = submit(server.url)

    assert isinstance(result, client.Refused)
    assert "bad size" in result.error.detail


def test_silence_after_sending_is_unknown():
    """A request without a response ends at the total deadline with an unknown result."""
    with raw_server(say_nothing) as server:
        result = submit(server.url, seconds=0.3)

    assert isinstance(result, client.Unknown)


def test_the_deadline_is_total():
    """A response that arrives byte by byte ends at the deadline too."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"
    with raw_server(drip(head)) as server:
        result = submit(server.url, seconds=0.3)

    assert isinstance(result, client.Unknown)
    assert 200 == result.status_code


def test_a_refusal_stands_even_if_its_text_never_arrives():
    """The status line of a 402 decides, even if its body is incomplete at the deadline."""
    head = b"HTTP/1.1 402 Payment Required\r\nContent-Length: 9999\r\n\r\n"
    with raw_server(drip(head)) as server:
        result = submit(server.url, seconds=0.3)

    assert isinstance(result, client.RetryLater)
    assert result.needs_fix
    assert "InsufficientBalance" == result.error.type
