"""HTTP/1.1 responses are parsed in any division of their bytes."""

from __future__ import annotations

import pytest

from mulequeue.net.raw_response import MAX_HEAD_BYTES, ResponseError
from mulequeue.net.response_parser import ResponseParser

MOST = 64
ANSWERS = {
    "a length": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nRetry-After: 3\r\n\r\nhello",
        (200, b"hello", True),
    ),
    "no body": (b"HTTP/1.1 204 No Content\r\n\r\n", (204, b"", True)),
    "empty": (b"HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n", (200, b"", True)),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx", (200, b"x", True)),
    "an error": (b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno", (503, b"no", True)),
    "interim first": (
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
        (200, b"x", True),
    ),
    "chunks": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n",
        (200, b"hello", True),
    ),
    "chunks and a trailer": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\nx\r\n0\r\nA: b\r\n\r\n",
        (200, b"x", True),
    ),
    "connection: close": (
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
        (200, b"x", False),
    ),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", (200, b"x", False)),
}


@pytest.mark.parametrize(("data", "expected"), ANSWERS.values(), ids=ANSWERS.keys())
def test_an_answer_is_read_wherever_it_is_cut(data, expected):
    """Every split in two, and single bytes, give the same status, body and keep-alive."""
    pieces = [[data[:cut], data[cut:]] for cut in range(1, len(data))]
    for parts in [[data], *pieces, [data[at : at + 1] for at in range(len(data))]]:
        reply = ResponseParser(MOST)
        for part in parts:
            if reply.feed(part):
                break
        response = reply.response
        assert (*expected[:2], True) == (response.status, response.body, response.is_complete)
        assert expected[2] == reply.is_reusable


BROKEN = {
    "another protocol": b"SSH-2.0-OpenSSH\r\n\r\n",
    "HTTP/2": b"HTTP/2 200\r\n\r\n",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n",
    "a change of protocol": b"HTTP/1.1 101 Switching\r\n\r\n",
    "the same length twice": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "a length and chunks": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
    ),
    "another coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "a header without a colon": b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
    "a folded header": b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
    "a space before the colon": b"HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\nx",
    "a size that is none": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "a chunk longer than said": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxyz\r\n0\r\n\r\n"
    ),
    "a head without an end": b"HTTP/1.1 200 OK\r\nA: " + b"x" * MAX_HEAD_BYTES,
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_ambiguous_is_an_error(data):
    """A response that could be read in two ways is an error."""
    with pytest.raises(ResponseError):
        ResponseParser(MOST).feed(data)


def test_a_body_without_a_length_ends_with_the_connection():
    """It is complete when the connection ends, and the connection is not reusable."""
    reply = ResponseParser(MOST)
    assert not reply.feed(b"HTTP/1.1 200 OK\r\n\r\nhel")
    assert not reply.feed(b"lo")

    assert reply.end()
    assert (b"hello", False) == (reply.response.body, reply.is_reusable)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n",
        b"HTTP/1.1 20",
        b"",
    ],
)
def test_an_answer_cut_short_is_not_whole(data):
    """A connection that ends in the middle gives no complete response."""
    reply = ResponseParser(MOST)
    assert not reply.feed(data)
    assert not reply.end()


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 500 No\r\nContent-Length: 99\r\n\r\n" + b"x" * 99,
        b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n63\r\n" + b"x" * 99,
        b"HTTP/1.1 500 No\r\n\r\n" + b"x" * 99,
    ],
)
def test_a_large_body_is_cut(data):
    """A body beyond the limit is cut off: not complete, and the connection is not reusable."""
    reply = ResponseParser(MOST)

    assert reply.feed(data)
    response = reply.response
    assert (b"x" * MOST, False, False) == (
        response.body,
        response.is_complete,
        reply.is_reusable,
    )


@pytest.mark.parametrize("more", [b"HTTP/1.1 200 OK\r\n", b"nonsense", b"\x00"])
@pytest.mark.parametrize(
    "framing",
    [b"Content-Length: 1\r\n\r\nx", b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"],
)
def test_a_connection_that_says_more_is_not_used_again(framing, more):
    """Bytes after the response make the connection not reusable."""
    reply = ResponseParser(MOST)

    assert reply.feed(b"HTTP/1.1 200 OK\r\n" + framing + more)
    assert (b"x", True, False) == (
        reply.response.body,
        reply.response.is_complete,
        reply.is_reusable,
    )


def test_headers_are_found_in_any_case():
    """Headers are found in any case, and repeated ones are joined."""
    reply = ResponseParser(MOST)
    reply.feed(b"HTTP/1.1 429 No\r\nretry-AFTER:  7 \r\nA: 1\r\na: 2\r\nContent-Length: 0\r\n\r\n")

    assert ("7", "1, 2") == (reply.response.headers["Retry-After"], reply.response.headers["A"])
