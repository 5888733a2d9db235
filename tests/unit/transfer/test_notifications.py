"""What a notification says: a pure function of the record."""

from __future__ import annotations

import json

import pytest

from mulequeue.errors import InputError
from mulequeue.transfer.notifications import new_secret, notification_for

ONE = {
    "task_id": "order-1",
    "remote_id": "r1",
    "status": "succeeded",
    "finished_at": "2026-03-01T10:00:00+00:00",
    "files": [],
}
TWO = {"task_id": "order-2", "status": "failed", "finished_at": "2026-03-01T11:00:00+00:00"}


def told(value):
    return json.loads(notification_for(value, "https://me/hook").body)


def test_one_outcome_is_told_whole():
    """One outcome is an event of its status, at the time the record says, with all of itself."""
    assert {
        "type": "generation.succeeded",
        "timestamp": "2026-03-01T10:00:00+00:00",
        "data": ONE,
    } == told(ONE)


def test_a_batch_is_told_in_short():
    """A list is one event: its members, their files, and how many came to what."""
    batch = told([ONE, TWO])

    assert "batch.finished" == batch["type"]
    assert "2026-03-01T11:00:00+00:00" == batch["timestamp"]
    assert [
        {"task_id": "order-1", "status": "succeeded", "files": []},
        {"task_id": "order-2", "status": "failed", "files": []},
    ] == batch["data"]["generations"]
    assert {
        "succeeded": 1,
        "failed": 1,
        "timed_out": 0,
        "submit_unknown": 0,
        "cancelled": 0,
    } == batch["data"]["counts"]


def test_members_without_times_make_a_batch_without_one():
    """The short members of generate_many carry no time, so the batch says null, never now."""
    assert told([{"task_id": "a", "status": "succeeded", "files": []}])["timestamp"] is None


@pytest.mark.parametrize(
    "other",
    [
        ONE | {"task_id": "order-9"},
        ONE | {"remote_id": "r9"},
        ONE | {"status": "failed"},
        ONE | {"files": [{"url": "file:///a"}]},
        [ONE],
    ],
)
def test_another_story_has_another_id(other):
    """Id of task and generation, status, files and event each make a notification of its own."""
    assert notification_for(ONE, "https://me/").id != notification_for(other, "https://me/").id


def test_another_target_has_another_id():
    """The same outcome told to two receivers is two notifications."""
    assert notification_for(ONE, "https://a/").id != notification_for(ONE, "https://b/").id


def test_the_id_does_not_hang_on_what_may_change():
    """Counters and times of the API do not make it a new notification."""
    assert notification_for(ONE, "https://a/").id == (
        notification_for(ONE | {"polls": 7, "updated_at": "x"}, "https://a/").id
    )


@pytest.mark.parametrize("value", [None, "text", 7, {"prompt": "x"}, [ONE, None], b"x"])
def test_what_is_no_outcome_is_refused(value):
    """A notification is made of outcomes only; the error says where to put notify."""
    with pytest.raises(InputError, match="Put notify"):
        notification_for(value, "https://a/")


def test_secrets_are_new_every_time():
    """A new secret has the scheme's prefix and is made of chance."""
    assert new_secret().startswith("whsec_")
    assert new_secret() != new_secret()
