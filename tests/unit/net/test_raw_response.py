"""Responses that break the rules of HTTP are read as far as possible."""

from __future__ import annotations

import gzip

from hypothesis import given, settings
from hypothesis import strategies as st

from mulequeue.net.raw_response import RawResponse, read_leniently

LIMIT = 1000
START = st.sampled_from([b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b""])


@settings(deadline=None)
@given(start=START, rest=st.binary())
def test_any_bytes_are_read(start: bytes, rest: bytes) -> None:
    """No sequence of bytes raises an error; without a status line the status is 0."""
    response = read_leniently(start + rest)

    assert 0 == response.status or 200 <= response.status <= 999 or b"100" in start
    assert isinstance(response.headers.get("X", ""), str)
    assert all(len(body) <= max(LIMIT, len(rest)) for body in response.readings(LIMIT))


@settings(deadline=None)
@given(text=st.binary(min_size=1, max_size=5000), kept=st.integers(0, 5000))
def test_compressed_text_is_read_up_to_the_damage(text: bytes, kept: int) -> None:
    """Each intact byte before a cut is decompressed."""
    packed = gzip.compress(text)[:kept]
    response = RawResponse(status=200, body=packed, encoding="gzip")

    _, read, *_ = response.readings(LIMIT)

    assert text[:LIMIT].startswith(read)
    assert read == text[:LIMIT] or kept < len(gzip.compress(text)) - 8


def test_a_compressed_response_cannot_grow_beyond_the_limit() -> None:
    """A megabyte of zeros in a kilobyte is cut at the limit."""
    bomb = gzip.compress(bytes(10**6))

    for body in RawResponse(status=200, body=bomb, encoding="gzip").readings(LIMIT):
        assert len(body) <= max(LIMIT, len(bomb))
