"""A task in a response: its state, id, error and times."""

from __future__ import annotations

from typing import Any

import pytest
from support.api_answers import ID, URL, envelope

from mulequeue.api.parsing import WireError, is_known_status, read_task
from mulequeue.outcome import ErrorInfo

# Row 1: status words


@pytest.mark.parametrize("word", ["pending", "queued", "running", "processing", "retrying"])
def test_row_01_waiting_and_working_words_are_active(word: str) -> None:
    """The words of both vocabularies, and ``retrying``, mean that it is active."""
    reply = read_task(envelope(word))

    assert ("active", word, None) == (reply.state, reply.status, reply.error)
    assert is_known_status(word)


@pytest.mark.parametrize("word", ["succeeded", "completed", "success", "COMPLETED", " completed "])
def test_row_01_good_words_are_a_success(word: str) -> None:
    """The words of both vocabularies for success are read, in any case."""
    assert "succeeded" == read_task(envelope(word, videos=[URL])).state


@pytest.mark.parametrize("word", ["failed", "canceled", "cancelled", "error", "Failed"])
def test_row_01_bad_words_are_a_failure(word: str) -> None:
    """Every word for failure is a failure, even beside assets."""
    assert "failed" == read_task(envelope(word, videos=[URL])).state


@pytest.mark.parametrize("word", ["moderating", "", "done", None])
def test_row_01_unknown_or_missing_words_are_never_final(word: str | None) -> None:
    """An unknown or missing word leaves the generation active, and is detectable for the log."""
    reply = read_task(envelope(word, videos=[URL]))

    assert ("active", word) == (reply.state, reply.status)
    assert not is_known_status(word)


# Row 2: the error of a failed task


@pytest.mark.parametrize(
    "body",
    [
        {"task_info": {"id": ID, "status": "failed"}, "error": {"title": "T", "error_code": 3005}},
        {"task_info": {"id": ID, "status": "failed", "error": {"title": "T", "code": 3005}}},
        {
            "task_info": {
                "id": ID,
                "status": "failed",
                "error": {"title": "T", "error_code": "3005"},
            }
        },
        {
            "task_info": {"id": ID, "status": "failed", "error": {"code": 3005}},
            "error": {"title": "T", "code": 1},
        },
    ],
    ids=["top level", "task_info", "number as text", "both"],
)
def test_row_02_the_error_is_read_in_both_places(body: dict[str, Any]) -> None:
    """The error is the same beside or inside ``task_info``, as ``code`` or ``error_code``."""
    expected = ErrorInfo(type="GenerationFailed", code=3005, title="T")

    assert expected == read_task(body).error
    assert {} == read_task(body).extra


@pytest.mark.parametrize("error", [None, {}, "", [], 7, {"title": None, "detail": "None (x)"}])
def test_row_02_a_failure_without_a_reason_says_so(error: Any) -> None:
    """A failure whose error is missing or unreadable still has a text."""
    found = read_task(envelope("failed", error=error)).error

    assert found is not None
    assert "The generation failed, and the API gives no reason" == found.title


def test_row_02_an_error_as_text_is_its_title() -> None:
    """An error that is plain text is read."""
    found = read_task(envelope("failed", error="Prompt was refused")).error

    assert ErrorInfo(type="GenerationFailed", title="Prompt was refused") == found


# Rows 4 to 6: the answer to a create request


@pytest.mark.parametrize(
    ("info", "remote_id"),
    [
        ({"id": ID}, ID),
        ({"task_id": ID}, ID),
        ({"id": None, "task_id": ID}, ID),
        ({"id": 12345}, "12345"),
        ({}, None),
        ({"id": ""}, None),
        ({"id": None, "task_id": ""}, None),
        ({"id": ["x"]}, None),
    ],
)
def test_row_04_the_id_has_two_names(info: dict[str, Any], remote_id: str | None) -> None:
    """``id`` and ``task_id`` are the id; a response without either has none."""
    assert remote_id == read_task({"task_info": info}).remote_id


@pytest.mark.parametrize(
    ("body", "state", "urls"),
    [
        (envelope(None), "active", ()),
        (envelope("pending"), "active", ()),
        (envelope("queued"), "active", ()),
        (envelope("succeeded", images=[URL]), "succeeded", (URL,)),
        (envelope("completed", videos=[URL]), "succeeded", (URL,)),
    ],
    ids=["no status", "pending", "queued", "old midjourney", "old kling"],
)
def test_row_05_a_create_answer_may_already_be_final(
    body: dict[str, Any], state: str, urls: tuple[str, ...]
) -> None:
    """The response to a create request is read like any other, final or not."""
    assert (state, urls) == (read_task(body).state, read_task(body).urls)


def test_row_06_the_http_code_of_a_good_answer_plays_no_part() -> None:
    """A task is read without its HTTP status, so 200, 201 and 202 mean the same."""
    assert ID == read_task(envelope("pending")).remote_id


# Row 15: unknown fields


def test_row_15_unknown_fields_of_an_answer_are_kept() -> None:
    """Unknown fields change nothing and are passed on."""
    reply = read_task(envelope(videos=[URL], description="d", usage_characters=12))

    assert {"description": "d", "usage_characters": 12} == reply.extra


# Beside the rows


def test_the_status_decides_and_not_the_error_beside_it() -> None:
    """A completed generation with an error object beside it succeeded."""
    body = envelope("completed", videos=[URL], error={"code": 0, "title": ""})
    body["task_info"]["error"] = {"code": 0}

    reply = read_task(body)

    assert ("succeeded", None, {}) == (reply.state, reply.error, reply.extra)


@pytest.mark.parametrize("stamp", ["2026-09-21T08:23:12Z", "2026-09-21T08:23:12.657134+00:00"])
def test_times_are_handed_on_as_written(stamp: str) -> None:
    """The server's times are passed on unchanged, in any form."""
    info = {"id": ID, "status": "processing", "created_at": stamp, "updated_at": stamp}
    reply = read_task({"task_info": info})

    assert (stamp, stamp) == (reply.created_at, reply.updated_at)


@pytest.mark.parametrize("body", [None, [], "x", 3, {}, {"task_info": None}, {"task_info": []}])
def test_no_envelope_is_an_error(body: Any) -> None:
    """A body that is not a task is an error that quotes it."""
    with pytest.raises(WireError, match="no task_info"):
        read_task(body)


def test_a_deletion_receipt_is_no_task() -> None:
    """The response to a deletion is not read as a generation."""
    with pytest.raises(WireError, match="deleted_at"):
        read_task({"task_id": ID, "deleted_at": "2026-09-21T08:23:12Z"})
