"""The forms in which the API answers."""

from __future__ import annotations

import pytest

from mulequeue.catalog import find
from mulequeue.emulator import response_bodies
from mulequeue.emulator.faults import Faults, Life
from mulequeue.emulator.generation import Generation


def generation(**life):
    return Generation(
        remote_id="r1",
        model=find("alibaba/wan2.6-t2i"),
        body={"prompt": "a mule"},
        created=1_700_000_000.0,
        seconds=10.0,
        life=Life(**life),
    )


PENDING, ACTIVE, OVER = 1_700_000_000.0, 1_700_000_005.0, 1_700_000_010.0


def test_a_create_is_answered_with_task_info():
    """Id, status and two times, as the API's documentation shows them."""
    info = {
        "id": "r1",
        "status": "pending",
        "created_at": "2023-11-14T22:13:20Z",
        "updated_at": "2023-11-14T22:13:20Z",
    }

    assert {"task_info": info} == response_bodies.created(generation(), PENDING, Faults())


def test_the_id_of_a_create_may_be_called_task_id():
    """Some pages show ``task_id``."""
    info = response_bodies.created(generation(), PENDING, Faults(create_id_field="task_id"))[
        "task_info"
    ]

    assert "r1" == info["task_id"]
    assert "id" not in info


def test_the_status_of_a_create_may_be_missing():
    """Some pages show no status; polls keep theirs."""
    faults = Faults(create_status="omitted")

    assert "status" not in response_bodies.created(generation(), PENDING, faults)["task_info"]
    assert "status" in response_bodies.polled(generation(), PENDING, faults)["task_info"]


@pytest.mark.parametrize(
    ("vocabulary", "words"),
    [
        ("A", ["queued", "running", "succeeded", "failed"]),
        ("B", ["pending", "processing", "completed", "failed"]),
    ],
)
def test_both_vocabularies_are_spoken(vocabulary, words):
    """Each documented set of status words can be had."""
    faults = Faults(vocabulary=vocabulary)

    said = [
        response_bodies.polled(generation(), moment, faults)["task_info"]["status"]
        for moment in (PENDING, ACTIVE, OVER)
    ]
    said.append(
        response_bodies.polled(generation(end="failed"), OVER, faults)["task_info"]["status"]
    )

    assert words == said


def test_mixed_speech_changes_from_poll_to_poll():
    """The mixed vocabulary uses the words of both."""
    talker = generation()

    said = set()
    for _ in range(2):
        talker.polls += 1
        said.add(
            response_bodies.polled(talker, ACTIVE, Faults(vocabulary="mixed"))["task_info"][
                "status"
            ]
        )

    assert {"processing", "running"} == said


def test_an_active_generation_may_use_a_word_nobody_knows():
    """The word of the life replaces the status while it is active, not at the end."""
    odd = generation(active_word="warming_up")

    assert "warming_up" == response_bodies.polled(odd, ACTIVE, Faults())["task_info"]["status"]
    assert "completed" == response_bodies.polled(odd, OVER, Faults())["task_info"]["status"]


@pytest.mark.parametrize(
    ("position", "inside", "on_top"),
    [("task_info", True, False), ("top", False, True), ("both", True, True)],
)
def test_a_failure_is_told_where_it_was_asked_for(position, inside, on_top):
    """``code`` inside task_info, ``error_code`` at the top."""
    failed = generation(end="failed", code=3005, detail="No.")

    answer = response_bodies.polled(failed, OVER, Faults(error_position=position))

    error = answer["task_info"].get("error")
    assert ((3005, "No.") if inside else None) == (error and (error["code"], error["detail"]))
    assert (3005 if on_top else None) == answer.get("error", {}).get("error_code")


def test_times_may_have_microseconds_and_an_offset():
    """The other form that was seen."""
    at = response_bodies.timestamp(1_700_000_000.25, Faults(timestamps="offset"))

    assert "2023-11-14T22:13:20.250000+00:00" == at


def test_a_problem_has_the_keys_of_the_gateway():
    """Status, title, detail, instance and the error code that goes with the status."""
    expected = {
        "status": 429,
        "title": "Too Many Requests",
        "detail": "Too Many Requests",
        "instance": "/vendors/x",
        "error_code": 1004,
    }

    assert expected == response_bodies.problem(429, "/vendors/x")
