"""A notification depends only on the outcome and the target."""

from __future__ import annotations

import json

import pytest

from mulequeue.errors import InputError
from mulequeue.transfer.notifications import build_notification, new_secret

ONE = {
    "task_id": "order-1",
    "remote_id": "r1",
    "status": "succeeded",
    "finished_at": "2026-03-01T10:00:00+00:00",
    "files": [],
}
TWO = {"task_id": "order-2", "status": "failed", "finished_at": "2026-03-01T11:00:00+00:00"}


def body_of(value):
    return json.loads(build_notification(value, "https://me/hook").body)


def test_the_event_of_one_outcome_has_all_fields():
    """The event of one outcome has its status, its finish time, and all of its fields."""
    assert {
        "type": "generation.succeeded",
        "timestamp": "2026-03-01T10:00:00+00:00",
        "data": ONE,
    } == body_of(ONE)


def test_the_event_of_a_batch_is_a_summary():
    """The event of a batch has its members, their files, and the number of each status."""
    batch = body_of([ONE, TWO])

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
    """Members of generate_many have no time, so the timestamp of the batch is null."""
    assert body_of([{"task_id": "a", "status": "succeeded", "files": []}])["timestamp"] is None


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
def test_another_content_has_another_id(other):
    """Task id, remote id, status, files and event each change the id."""
    assert build_notification(ONE, "https://me/").id != build_notification(other, "https://me/").id


def test_another_target_has_another_id():
    """The same outcome for two targets has two ids."""
    assert build_notification(ONE, "https://a/").id != build_notification(ONE, "https://b/").id


def test_the_id_does_not_depend_on_what_may_change():
    """Counters and times of the API do not change the id."""
    assert build_notification(ONE, "https://a/").id == (
        build_notification(ONE | {"polls": 7, "updated_at": "x"}, "https://a/").id
    )


@pytest.mark.parametrize("value", [None, "text", 7, {"prompt": "x"}, [ONE, None], b"x"])
def test_what_is_no_outcome_is_refused(value):
    """A value that is no outcome is rejected; the error explains where to put notify."""
    with pytest.raises(InputError, match="Put notify"):
        build_notification(value, "https://a/")


def test_secrets_are_new_every_time():
    """A new secret has the scheme's prefix and is random."""
    assert new_secret().startswith("whsec_")
    assert new_secret() != new_secret()
