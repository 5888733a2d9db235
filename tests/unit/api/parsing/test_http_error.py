"""HTTP errors of the API: their type, their text, and Retry-After."""

from __future__ import annotations

from email.utils import formatdate
from typing import Any

import pytest
from support.api_answers import ID, problem

from mulequeue import errors
from mulequeue.api.parsing import is_gone, read_error, retry_after_seconds
from mulequeue.outcome import ErrorInfo

NOW = 1_790_000_000.0
INVALID = "Parameter validation failed"


# Row 3: the error of a rejected create request


@pytest.mark.parametrize(
    "body",
    [
        {"status": 400, "title": INVALID, "detail": "d", "instance": "/x", "error_code": 2001},
        {
            "task_info": {
                "status": "failed",
                "error": {"code": 2001, "title": INVALID, "detail": "d"},
            }
        },
        {"code": 2001, "title": INVALID, "detail": "d"},
        {"error": {"code": 2001, "message": INVALID, "detail": "d"}},
    ],
    ids=["problem", "envelope", "code at the root", "error object"],
)
def test_row_03_a_rejected_request_is_read_in_every_shape(body: dict[str, Any]) -> None:
    """A problem object, a failed task and an error object give the same error."""
    expected = ErrorInfo(
        type="InvalidRequestError", code=2001, title=INVALID, detail="d", status_code=400
    )

    assert expected == problem(400, body)


def test_row_03_an_unknown_route_has_no_number() -> None:
    """The 404 of an unknown route is read, and does not mean a missing id."""
    error = problem(404, {"status": 404, "title": "Not Found"})

    assert ("Not Found", None) == (error.title, error.code)
    assert not is_gone(404, error)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": "Model is off"}', "Model is off"),
        (b'{"message": "Model is off"}', "Model is off"),
        (b"Model is off", "Model is off"),
        (b'"Model is off"', "Model is off"),
        (b"<html><style>p{}</style><h1>502</h1>\n<p>Bad <b>gateway</b></html>", "502 Bad gateway"),
        (b'{"detail": [{"loc": ["size"], "msg": "wrong"}]}', '"msg": "wrong"'),
        (b"", "The API returned 502 without a reason"),
        (b"{}", "The API returned 502 without a reason"),
        (b"\xff\xfe", "\ufffd"),
    ],
)
def test_row_03_any_other_body_is_quoted(body: bytes, said: str) -> None:
    """Text, lists, HTML, random bytes and an empty body give a readable text."""
    error = read_error(502, {}, body)

    assert said in " ".join(f"{error.title or ''} {error.detail or ''}".split())
    assert "ServerError" == error.type


# Row 17: 404 on a status check


@pytest.mark.parametrize(
    ("status_code", "body", "gone"),
    [
        (404, {"error_code": 2005, "title": "Not found"}, True),
        (404, {"code": "2005"}, True),
        (404, {"title": "x", "detail": f"Task with ID {ID} does not exist"}, True),
        (404, {"status": 404, "title": "Not Found"}, False),
        (404, {"title": "x", "error_code": 2001}, False),
        (400, {"error_code": 2005}, False),
        (500, {"detail": "Task does not exist"}, False),
    ],
)
def test_row_17_only_one_kind_of_404_means_gone(
    status_code: int, body: dict[str, Any], gone: bool
) -> None:
    """An id does not exist if a 404 has that code or text, and never otherwise."""
    assert gone is is_gone(status_code, problem(status_code, body))


def test_row_17_a_404_that_is_html_is_not_gone() -> None:
    """An HTML page of a proxy does not mean a missing id."""
    assert not is_gone(404, read_error(404, {}, b"<html>Not Found</html>"))


# Beside the rows


@pytest.mark.parametrize(
    ("status_code", "type_"),
    [
        (400, "InvalidRequestError"),
        (401, "AuthenticationError"),
        (402, "InsufficientBalance"),
        (403, "AuthenticationError"),
        (404, "InvalidRequestError"),
        (409, "InvalidRequestError"),
        (423, "InvalidRequestError"),
        (429, "RateLimited"),
        (451, "InvalidRequestError"),
        (500, "ServerError"),
        (503, "ServerError"),
        (302, "APIError"),
    ],
)
def test_the_http_status_decides_the_type(status_code: int, type_: str) -> None:
    """The HTTP status determines the type, which is a class of the error tree."""
    assert type_ == problem(status_code, {"title": "x"}).type
    assert issubclass(getattr(errors, type_), errors.APIError)


def test_unavailable_with_a_time_is_a_rate_limit() -> None:
    """A 503 with Retry-After created nothing, like a 429."""
    assert "RateLimited" == read_error(503, {"Retry-After": "5"}, b"").type


@pytest.mark.parametrize("body", [b"error code: 1010", b"1010", b"<html>no</html>", b""])
def test_a_403_that_is_no_json_object_is_the_edge(body: bytes) -> None:
    """A 403 without JSON is a block by the edge; its title does not blame the key."""
    error = read_error(403, {}, body)

    assert "EdgeBlocked" == error.type
    assert "the key may still be valid" in str(error.title)


def test_a_detail_of_none_gives_way_to_the_title() -> None:
    """The literal ``None (request_id: …)`` is not a detail."""
    body = {
        "status": 401,
        "title": "Invalid API Key format",
        "detail": "None (request_id: 8a7f)",
        "instance": "/vendors/x",
        "error_code": 0,
    }
    expected = ErrorInfo(
        type="AuthenticationError", code=0, title="Invalid API Key format", status_code=401
    )

    assert expected == problem(401, body)


@pytest.mark.parametrize("name", ["Traceparent", "traceparent", "TRACEPARENT"])
def test_the_trace_id_is_kept(name: str) -> None:
    """The trace id is kept, in any case of the header's name."""
    assert "00-ab-cd-01" == read_error(500, {name: "00-ab-cd-01"}, b"{}").trace_id


@pytest.mark.parametrize("body", [b"x" * 5_000_000, b'{"title": "' + b"x" * 2_000_000 + b'"}'])
def test_a_huge_body_is_cut(body: bytes) -> None:
    """An error text has at most 500 characters."""
    error = read_error(500, {}, body)

    assert 500 == len(error.detail or "")


def test_texts_are_one_printable_line() -> None:
    """Line breaks, control characters and lone surrogates are replaced in texts."""
    error = read_error(400, {}, b'{"title": "a\\u0000b\\r\\nc\\ud800", "detail": "  d  "}')

    assert ("a b c\ufffd", "d") == (error.title, error.detail)


def test_a_quoted_key_is_masked() -> None:
    """A response that quotes the rejected key does not carry it into a log."""
    key = "sk-mr-" + "0123456789abcdef" * 4
    error = problem(401, {"title": f"Invalid key {key}", "detail": "muk-abcdefghijkl is unknown"})

    assert ("Invalid key sk-mr-…", "muk-… is unknown") == (error.title, error.detail)


# Retry-After


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("5", 5.0),
        (" 5 ", 5.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("3600", 3600.0),
        ("86400", 3600.0),
        ("9" * 400, 3600.0),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW + 86400, usegmt=True), 3600.0),
        (formatdate(NOW - 90, usegmt=True), None),
        ("-5", None),
        ("nan", None),
        ("inf", None),
        ("1e3", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("Mon, 99 Foo 2026 08:00:00 GMT", None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    """Seconds and dates are read; invalid values are ignored, long ones limited to an hour."""
    assert seconds == retry_after_seconds(value, NOW)
