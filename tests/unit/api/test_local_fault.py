"""Errors that may be the fault of one host."""

from __future__ import annotations

import pytest

from mulequeue.api.results import Transient, is_local_fault, read_check
from mulequeue.errors import ConfigurationError
from mulequeue.net.connection import NotConnected, ProxyError
from mulequeue.net.raw_response import RawResponse, ResponseError


@pytest.mark.parametrize(
    "error", [NotConnected("refused"), ProxyError(407), ConfigurationError("no such CA bundle")]
)
def test_without_a_connection_the_host_may_be_at_fault(error: Exception) -> None:
    """DNS, a proxy, a certificate or a wrong key may keep one host alone from the API."""
    assert is_local_fault(error)


@pytest.mark.parametrize(
    "error", [TimeoutError(), ConnectionResetError(), ResponseError("not HTTP")]
)
def test_over_a_connection_the_host_is_not_at_fault(error: Exception) -> None:
    """An error after the connection was made comes from the API or the way to it."""
    assert not is_local_fault(error)


@pytest.mark.parametrize(
    ("status", "body", "is_local"),
    [
        (407, b"", True),
        (511, b"<html>log in</html>", True),
        (403, b"<html>error code: 1010</html>", True),
        (403, b'{"title": "no"}', False),
        (500, b"<html>error</html>", False),
        (200, b"<html>maintenance</html>", False),
    ],
)
def test_a_response_in_place_of_the_apis_may_be_the_hosts_fault(
    status: int, body: bytes, is_local: bool
) -> None:
    """A proxy, a login page and a block at the edge keep one host from the API, an error does not."""
    found = read_check(RawResponse(status=status, body=body, is_complete=True), None)

    assert isinstance(found, Transient)
    assert is_local == found.is_local
