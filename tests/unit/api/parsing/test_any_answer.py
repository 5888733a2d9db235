"""Any response of the API is parsed, or rejected with a reason."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.api_answers import URL

from mulequeue import errors
from mulequeue.api.parsing import (
    TaskReply,
    WireError,
    is_gone,
    read_error,
    read_task,
    retry_after_seconds,
)
from mulequeue.outcome import Kind

# A slow machine is no failure.
unhurried = settings(deadline=None)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(
    LEAVES, lambda child: st.lists(child) | st.dictionaries(st.text(), child), max_leaves=12
)
WORDS = st.sampled_from(["completed", "failed", "pending", "success", "error", "?"])
INFO = st.fixed_dictionaries(
    {}, optional={"id": JSON, "task_id": JSON, "status": WORDS | JSON, "error": JSON}
)
RESULT_KEYS = ("images", "videos", "audios", "image", "video_url", "output", "error", "detail")
ENVELOPES = st.fixed_dictionaries(
    {"task_info": INFO | JSON},
    optional={key: JSON | st.just([URL]) for key in RESULT_KEYS},
)
KINDS = st.sampled_from([None, "image", "video", "audio"])


@unhurried
@given(body=JSON | ENVELOPES, kind=KINDS)
def test_any_json_is_a_task_or_an_error(body: Any, kind: Kind | None) -> None:
    """Any JSON is read as a consistent reply or rejected as not a task."""
    try:
        reply = read_task(body, kind=kind)
    except WireError:
        return
    assert isinstance(reply, TaskReply)
    assert (reply.state == "failed") is (reply.error is not None)
    assert (reply.state == "succeeded") is bool(reply.urls)
    assert reply.remote_id is None or isinstance(reply.remote_id, str)
    assert not {"task_info", "error"} & set(reply.extra)


@unhurried
@given(
    status_code=st.integers(100, 999),
    headers=st.dictionaries(st.text(), st.text()),
    body=st.binary() | (JSON | ENVELOPES).map(lambda value: json.dumps(value).encode()),
)
def test_any_refusal_is_read(status_code: int, headers: dict[str, str], body: bytes) -> None:
    """Any error response gives an error with a type and a text of limited length."""
    error = read_error(status_code, headers, body)

    assert issubclass(getattr(errors, error.type), errors.APIError)
    assert error.title or error.detail
    assert max(len(error.title or ""), len(error.detail or "")) <= 500
    assert isinstance(is_gone(status_code, error), bool)


def test_deeply_nested_json_is_survived() -> None:
    """A body that exhausts the parser's recursion is an error like any other."""
    assert "ServerError" == read_error(500, {}, b"[" * 500_000).type


@unhurried
@given(value=st.text(), now=st.floats(0, 4e9))
def test_any_retry_after_is_none_or_up_to_an_hour(value: str, now: float) -> None:
    """No header gives a pause that is negative or longer than an hour."""
    seconds = retry_after_seconds(value, now)

    assert seconds is None or 0 <= seconds <= 3600
