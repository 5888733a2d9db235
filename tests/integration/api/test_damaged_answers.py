"""Responses to a create request that are damaged, mislabelled or oversized, but contain an id."""

from __future__ import annotations

import gzip
import json
import socket
import struct
import threading
import zlib
from typing import Any

import pytest
from support.api_calls import FAILED, ID, PENDING, submit
from support.raw_server import RawServer, Request, drip, http, raw_server, say_and_close

from mulequeue.api import client

INFO = {"id": ID, "status": "pending"}
NAMED = json.dumps({"task_info": {**INFO, "label": "Mädchen"}}, ensure_ascii=False)
PACKED = gzip.compress(PENDING.encode())
UTF_16 = PENDING.encode("utf-16-le")


def chunked(*chunks: str, end: str = "0\r\n\r\n", length: str = "") -> bytes:
    """Return a chunked response; ``length`` is its Content-Length."""
    parts = "".join(f"{len(part):x}\r\n{part}\r\n" for part in chunks) + end
    return http("202 Accepted", parts, Transfer_Encoding="chunked", Content_Length=length)


def reset_after(answer: bytes) -> Any:
    """Answer, then reset the connection."""

    def act(connection: socket.socket, request: Request, state: RawServer) -> None:
        connection.sendall(answer)
        state.stopping.wait(0.2)  # a reset discards what the client has not read yet
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise ConnectionAbortedError

    return act


def in_two_parts(first: bytes, second: bytes) -> Any:
    """Answer in two parts, then close."""

    def act(connection: socket.socket, request: Request, state: RawServer) -> None:
        connection.sendall(first)
        state.stopping.wait(0.1)
        connection.sendall(second)
        raise ConnectionAbortedError

    return act


def with_id(**more: Any) -> str:
    return json.dumps({"task_info": INFO, **more})


CUT = len(http("202 Accepted", PENDING)) - len(PENDING) // 2
DAMAGED: dict[str, Any] = {
    "chunks without the last one": chunked(PENDING, end=""),
    "a cut last chunk": chunked(PENDING, end="ff\r\n  "),
    "the object in several chunks, cut": chunked(PENDING[:20], PENDING[20:], end=""),
    "a chunk size that is no number": chunked(PENDING, end="xyz\r\n"),
    "chunks and a length": chunked(PENDING, length="5"),
    "chunked in name only": http("200 OK", PENDING, Transfer_Encoding="chunked", Content_Length=""),
    "a length that is too long": http("202 Accepted", PENDING, Content_Length="4000"),
    "a length that is too short": http("202 Accepted", PENDING, Content_Length="20"),
    "too short a length, the rest later": in_two_parts(
        http("202 Accepted", PENDING, Content_Length="60")[:CUT],
        http("202 Accepted", PENDING, Content_Length="60")[CUT:],
    ),
    "a length that is no number": http("202 Accepted", PENDING, Content_Length="many"),
    "two lengths": http("202 Accepted", PENDING, content_length="7"),
    "a reset after the body": reset_after(http("202 Accepted", PENDING, Content_Length="4000")),
    "headers of 100 KiB": http("202 Accepted", PENDING, Set_Cookie="x" * 100_000),
    "200 headers": http("202 Accepted", PENDING, **{f"X_{n}": "1" for n in range(200)}),
    "a header line without a colon": b"HTTP/1.1 202 OK\r\nrubbish\r\n\r\n" + PENDING.encode(),
    "bare line feeds": b"HTTP/1.1 202 OK\nContent-Type: a/b\n\n" + PENDING.encode(),
    "no reason phrase": b"HTTP/1.1 202\r\n\r\n" + PENDING.encode(),
    "an unknown version": b"HTTP/7.3 202 OK\r\n\r\n" + PENDING.encode(),
    "after an interim response": b"HTTP/1.1 100 Continue\r\n\r\n" + http("201 Created", PENDING),
    "204 with a body": b"HTTP/1.1 204 No Content\r\n\r\n" + PENDING.encode(),
    "205": http("205 Reset Content", PENDING),
    "226": http("226 IM Used", PENDING),
    "299": http("299 Whatever", PENDING),
    "an HTML page by its type": http("200 OK", PENDING, Content_Type="text/html"),
    "a byte order mark": http("200 OK", b"\xef\xbb\xbf" + PENDING.encode()),
    "UTF-16": http("200 OK", PENDING.encode("utf-16")),
    "UTF-16 without a mark, cut": http("200 OK", UTF_16 + b"\x20"),
    "UTF-32": http("200 OK", PENDING.encode("utf-32")),
    "Latin-1": http("200 OK", NAMED.encode("latin-1")),
    "a cut UTF-8 character": http("200 OK", PENDING.encode() + b"\xc3"),
    "gzip without its end": http("200 OK", PACKED[:-8], Content_Encoding="gzip"),
    "gzip with a wrong checksum": http("200 OK", PACKED[:-8] + b"8" * 8, Content_Encoding="gzip"),
    "gzip without the header": http("200 OK", PACKED),
    "gzip in name only": http("200 OK", PENDING, Content_Encoding="gzip"),
    "another encoding in name only": http("200 OK", PENDING, Content_Encoding="br"),
    "deflate without a header": http(
        "200 OK", zlib.compress(PENDING.encode())[2:-4], Content_Encoding="deflate"
    ),
    "text after the object": http("200 OK", PENDING + "<!-- cache miss -->"),
    "text before the object": http("200 OK", ")]}',\n" + PENDING),
    "a line break in a string": http("200 OK", with_id(note="x").replace('"x"', '"a\nb"')),
    "the object in another one": http("200 OK", json.dumps({"data": json.loads(PENDING)})),
    "the task itself": http("200 OK", json.dumps(INFO)),
    "the id under another name": http("200 OK", json.dumps({"task_id": ID})),
    "cut after the task": http("200 OK", with_id(videos=["https://…"])[:-9], Content_Length="900"),
    "cut after the id": http("200 OK", PENDING[: PENDING.index(ID) + 37], Content_Length="900"),
    "a huge rest": http("200 OK", with_id(audios=["ab" * 2**20])),
    "500": http("500 Internal Server Error", PENDING),
    "503 with Retry-After": http("503 Service Unavailable", PENDING, Retry_After="7"),
    "429": http("429 Too Many Requests", PENDING),
    "409": http("409 Conflict", PENDING),
    "303": http("303 See Other", PENDING, Location="/vendors/x"),
}


@pytest.mark.parametrize("answer", DAMAGED.values(), ids=DAMAGED.keys())
def test_an_id_that_arrived_is_never_dropped(answer: Any) -> None:
    """Whatever is wrong with the rest of the response: one request, and its id is accepted."""
    with raw_server(answer if callable(answer) else say_and_close(answer)) as server:
        result = submit(server.url)

    assert isinstance(result, client.Accepted), result
    assert (ID, "active") == (result.reply.remote_id, result.reply.state)
    assert 1 == len(server.requests)


def test_an_id_is_taken_from_a_response_that_never_ends() -> None:
    """At the deadline the bytes that arrived are read."""
    head = http("200 OK", PENDING, Content_Length="99999")
    with raw_server(drip(head)) as server:
        result = submit(server.url, seconds=0.5)

    assert isinstance(result, client.Accepted)
    assert ID == result.reply.remote_id


def test_an_answer_before_the_request_was_read_counts() -> None:
    """A server may answer and close while a large input is still being sent."""

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(http("202 Accepted", PENDING))
            while connection.recv(65536):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        result = submit(url, {"image": "x" * 20_000_000})
        thread.join(10)

    assert isinstance(result, client.Accepted)
    assert ID == result.reply.remote_id


NO_ID = {
    "failed, with an id": http("400 Bad Request", json.dumps({"task_info": {**INFO, **FAILED}})),
    "an id of the error": http("500 Internal Server Error", '{"id": "e-1", "title": "no"}'),
    "an error with an id": http("200 OK", '{"id": "e-1", "error": {"code": 3001}}'),
    "an id of something else": http("200 OK", '{"user": {"id": "u-1"}}'),
    "an empty id": http("200 OK", '{"task_info": {"id": ""}}'),
    "a cut id": http("200 OK", PENDING[: PENDING.index(ID) + 10], Content_Length="900"),
    "objects in objects": http("200 OK", '{"task_info":' * 50_000),
}


@pytest.mark.parametrize("answer", NO_ID.values(), ids=NO_ID.keys())
def test_what_is_no_id_of_a_generation_is_not_taken_for_one(answer: bytes) -> None:
    """An id of an error, of a failed request or of something else accepts nothing."""
    with raw_server(say_and_close(answer)) as server:
        result = submit(server.url)

    assert isinstance(result, (client.Unknown, client.Refused)), result
