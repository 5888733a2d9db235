"""A record as Python sees it, and the outcome made of it."""

from __future__ import annotations

from typing import Any

import pytest

from mulequeue.ledger import Intent, Record, outcome_of
from mulequeue.ledger.records import iso, read_record
from mulequeue.outcome import Asset, ErrorInfo, File, Outcome
from mulequeue.settings import Profile

FIELDS = {
    "v": "1",
    "state": "delivering",
    "status": "succeeded",
    "epoch": "e",
    "profile": "default",
    "model": "alibaba/wan2.6-t2i",
    "path": "alibaba/v1/wan2.6-t2i/generation",
    "base_url": "https://api.example",
    "kind": "image",
    "remote_id": "r",
    "polls": "3",
    "usd": "75000",
    "day": "20833",
    "created": "1800000000.000000",
    "submitted": "1800000001.250000",
    "finished": "1800000060.999900",
}


def record(**given: Any) -> Record:
    return Record(**{"task_id": "t", "state": "settled", **given})


def test_a_record_is_read_with_its_types() -> None:
    """Numbers are numbers, flags are flags, and fields of a newer version are passed over."""
    found = read_record(
        "t",
        {**FIELDS, "poisoned": "1", "of_tomorrow": "x"},
        b'{"kind": "image"}',
        b'[{"url": "file:///a.png", "kind": "image", "media_type": "image/png", "bytes": 9}]',
    )

    assert (3, 1800000000.0, True, False) == (
        found.polls,
        found.created,
        found.poisoned,
        found.abandoned,
    )
    assert {"kind": "image"} == found.answer
    expected = File(url="file:///a.png", kind="image", media_type="image/png", bytes=9)
    assert (expected,) == found.files
    assert "/vendors/alibaba/v1/wan2.6-t2i/generation" == found.api_path


def test_a_record_without_anything_else_is_read() -> None:
    """A tombstone has a state and nothing more."""
    found = read_record("t", {"state": "tombstone", "label": ""}, None, "")

    assert Record(task_id="t", state="tombstone") == found
    assert not found.is_over


def test_the_outcome_holds_what_the_api_answered() -> None:
    """Assets, times, the API's other fields and the estimate are in the outcome; own times are in UTC."""
    answer = (
        '{"kind": "image", "created_at": "c", "updated_at": "u", "extra": {"description": "d"},'
        ' "assets": [{"url": "https://a/1.png", "kind": "image", "expires_at": "x"}]}'
    )

    found = outcome_of(read_record("t", FIELDS, answer, None))

    assert found == Outcome(
        task_id="t",
        status="succeeded",
        remote_id="r",
        model="alibaba/wan2.6-t2i",
        api_path="/vendors/alibaba/v1/wan2.6-t2i/generation",
        base_url="https://api.example",
        kind="image",
        assets=(Asset(url="https://a/1.png", kind="image", expires_at="x"),),
        created_at="c",
        updated_at="u",
        submitted_at="2027-01-15T08:00:01.250Z",
        finished_at="2027-01-15T08:01:00.999Z",
        polls=3,
        extra={"description": "d"},
        estimated_usd=0.075,
    )


def test_an_outcome_is_a_pure_function_of_the_record() -> None:
    """The same record gives the same outcome, however often it is handed on."""
    same = read_record("t", FIELDS, None, None)

    assert outcome_of(same) == outcome_of(same)


def test_a_record_under_way_has_no_outcome() -> None:
    """Asking for the outcome of a generation that runs is an error that says what it is."""
    with pytest.raises(ValueError, match="still generating"):
        outcome_of(record(state="generating"))


@pytest.mark.parametrize(
    ("given", "kind", "text"),
    [
        ({"status": "submit_unknown"}, "SubmitUnknown", "adopt"),
        ({"status": "timed_out"}, "GenerationTimedOut", "resume"),
        ({"status": "failed"}, "GenerationFailed", "None"),
        ({"status": "cancelled"}, "GenerationCancelled", "None"),
        ({"status": "cancelled", "submitted": 1.0}, "GenerationCancelled", "may have reached"),
        ({"status": "cancelled", "remote_id": "r"}, "GenerationCancelled", "probably billed"),
        ({"status": "failed", "poisoned": True, "deliveries": 5}, "DeliveryFailed", "assets"),
    ],
)
def test_an_outcome_without_an_answer_says_what_to_do(
    given: dict[str, Any], kind: str, text: str
) -> None:
    """What ended without an answer of the API has an error of its own, with the next step."""
    error = outcome_of(record(**given)).error

    assert error is not None
    assert kind == error.type
    assert text in str(error.detail)


def test_the_api_s_own_error_wins() -> None:
    """The reason that the API gave is the outcome's error."""
    given = {"type": "InvalidRequestError", "code": 2001, "title": "Bad", "status_code": 400}

    error = outcome_of(record(status="failed", answer={"error": given})).error

    assert ErrorInfo(type="InvalidRequestError", code=2001, title="Bad", status_code=400) == error


def test_a_late_id_is_in_the_outcome() -> None:
    """An id that came after the delivery is the outcome's id when there is no other."""
    assert "r" == outcome_of(record(status="submit_unknown", late_remote_id="r")).remote_id


@pytest.mark.parametrize(
    ("at", "text"),
    [(None, None), (0.0, "1970-01-01T00:00:00.000Z"), (1.9996, "1970-01-01T00:00:01.999Z")],
)
def test_times_are_iso_8601_in_utc(at: float | None, text: str | None) -> None:
    """Unix seconds become ISO-8601 with milliseconds and a Z."""
    assert text == iso(at)


@pytest.mark.parametrize("prompt", ["m" * 100, "骡" * 60, "a" + "é" * 60, ""])
def test_no_field_makes_a_record_large(prompt: str) -> None:
    """Redis keeps a hash small while no value is above 64 bytes; a label is cut to whole letters."""
    intent = Intent(
        task_id="t",
        run="r",
        profile=Profile(name="default", base_url="https://api.mulerouter.ai", api_key="k"),
        path="alibaba/v1/qwen-image-edit-plus-2025-12-15/generation",
        signature={},
        digest="d",
        label=prompt,
    )

    fields = dict(zip(intent.fields()[::2], intent.fields()[1::2], strict=True))

    assert all(len(value.encode()) <= 64 for value in fields.values())
    assert prompt.startswith(fields.get("label", ""))
    assert len(fields.get("label", "").encode()) >= min(62, len(prompt))
