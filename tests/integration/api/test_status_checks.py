"""Status checks: how each response is read. No response fails a generation."""

from __future__ import annotations

import gzip
import json

import pytest
from support.api_calls import GONE, ID, KEY, PATH, PENDING, PROBLEM
from support.raw_server import drip, flood, http, raw_server, say_and_close, say_nothing

from mulequeue.api import client, parsing


def test_a_status_check_reads_the_task(fetch):
    """A status check sends the key and returns the task, compressed or not."""
    done = json.dumps(
        {"task_info": {"id": ID, "status": "completed"}, "images": ["https://a/b.png"]}
    )
    packed = http("200 OK", gzip.compress(done.encode()), Content_Encoding="gzip")
    for answer in (http("200 OK", done), packed):
        with raw_server(answer) as server:
            reply = fetch(server.url)

        assert isinstance(reply, parsing.TaskReply)
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
    "oversized": http("200 OK", " " * 32 * 2**20 + PENDING),
    "gzip bomb": http("200 OK", gzip.compress(b" " * 50 * 1024**2), Content_Encoding="gzip"),
    "cut short": http("200 OK", PENDING[:9], Content_Length="90"),
    "cut in the headers": b"HTTP/1.1 200 OK\r\nX: y\r\n",
    "not HTTP": b"hello\r\n\r\n",
}


@pytest.mark.parametrize("answer", NO_NEWS.values(), ids=NO_NEWS.keys())
def test_no_answer_of_a_status_check_fails_a_generation(fetch, answer):
    """Every response that is neither a task nor a 404 leaves the generation as it is."""
    with raw_server(say_and_close(answer)) as server:
        result = fetch(server.url)

    assert isinstance(result, client.Transient), result
    assert KEY not in repr(result)


def speech(digits: int, **more: str) -> str:
    """Return the response for a finished speech that is inline, as that many hex digits."""
    return json.dumps(
        {"task_info": {"id": ID, "status": "completed", **more}, "audio": "f" * digits}
    )


@pytest.mark.parametrize("is_packed", [False, True], ids=["plain", "gzip"])
def test_a_speech_of_eleven_minutes_is_taken_inline(fetch, is_packed):
    """The longest documented prompt, as hex digits of 128 kbit/s, is read."""
    digits = 2 * 11 * 60 * 16_000
    answer = http("200 OK", speech(digits))
    if is_packed:
        packed = gzip.compress(speech(digits).encode())
        answer = http("200 OK", packed, Content_Encoding="gzip")
    with raw_server(answer) as server:
        result = fetch(server.url)

    assert "succeeded" == result.state
    assert [digits] == [len(url.removeprefix("hex:")) for url in result.urls]
    assert 2 == len(server.requests)


@pytest.mark.parametrize(
    "answer",
    [
        http("200 OK", speech(2**25)),
        http("200 OK", gzip.compress(b" " * 2**26), Content_Encoding="gzip"),
        flood(b"HTTP/1.1 200 OK\r\n\r\n"),
    ],
    ids=["plain", "gzip", "endless"],
)
def test_a_larger_response_is_told_apart(fetch, answer):
    """What exceeds the limit of inline assets names the limit."""
    with raw_server(answer) as server:
        result = fetch(server.url)

    assert result.is_too_large
    assert "larger than 32 MiB" in result.reason


def test_an_error_page_is_never_read_to_its_end(fetch):
    """Of an error only the beginning is read, whatever its size."""
    with raw_server(flood(b"HTTP/1.1 500 Internal Server Error\r\n\r\n")) as server:
        result = fetch(server.url)

    assert (500, False) == (result.status_code, result.is_too_large)
    assert 1 == len(server.requests)


@pytest.mark.parametrize(
    ("named", "is_taken"),
    [(ID.upper(), True), (ID.replace("-", ""), True), (None, True), ("another", False)],
)
def test_only_an_answer_about_this_generation_is_taken(fetch, named, is_taken):
    """An answer that names another id, also over a new connection, tells nothing."""
    info = {"id": named, "status": "completed"}
    answer = http("200 OK", json.dumps({"task_info": info, "images": ["https://a/b.png"]}))
    with raw_server(answer) as server:
        result = fetch(server.url)

    assert isinstance(result, parsing.TaskReply if is_taken else client.Transient)
    if not is_taken:
        assert "another generation" in result.reason
        assert 2 == server.connections


@pytest.mark.parametrize(("asked", "kept"), [("12", 12.0), ("300", 300.0), ("3600", 300.0)])
def test_retry_after_of_a_status_check_is_read(fetch, asked: str, kept: float):
    """A 429 sets the pause of status checks, at most five minutes."""
    with raw_server(http("429 Too Many Requests", Retry_After=asked)) as server:
        result = fetch(server.url)

    assert (429, kept) == (result.status_code, result.retry_after_seconds)


@pytest.mark.parametrize(
    "answer", [say_nothing, drip(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n")]
)
def test_a_status_check_has_a_total_deadline(fetch, answer):
    """A status check ends at its deadline, whether the server is silent or slow."""
    with raw_server(answer) as server:
        result = fetch(server.url, seconds=0.3)

    assert isinstance(result, client.Transient)
    assert "Timeout" in result.reason


@pytest.mark.parametrize(
    ("body", "gone"), [(GONE, True), ('{"status":404,"title":"Not Found"}', False)]
)
def test_a_404_tells_a_missing_id_from_a_missing_route(fetch, body, gone):
    """A 404 means that the id does not exist only if the API's error says so."""
    with raw_server(http("404 Not Found", body)) as server:
        result = fetch(server.url)

    assert isinstance(result, client.NotFound)
    assert gone is result.is_gone


def test_a_remote_id_is_quoted(fetch):
    """An id with slashes or dots stays one segment of the path."""
    with raw_server(http("404 Not Found")) as server:
        fetch(server.url, "../a/b?c=1#d")
        fetch(server.url, "..")

    assert [
        f"GET {PATH}/..%2Fa%2Fb%3Fc%3D1%23d HTTP/1.1",
        f"GET {PATH}/%2E%2E HTTP/1.1",
    ] == [r.line for r in server.requests]
