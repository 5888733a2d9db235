"""The files of a batch's members, stored by the delivery that returns the outcome."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.events import Events
from support.fleet import Fleet
from support.generations import MODEL, Log, new_id
from support.waiting import wait_until

from mulequeue.tasks.batch_ids import member_ids
from mulequeue.tasks.canvases import generate_many

ROUTES = 'task_routes = {"mulequeue.download": {"queue": "files"}}'
INTERNAL = "mulequeue.poll,mulequeue.wake"


def many(fleet: Fleet, *prompts: str, **options: Any) -> Any:
    """A batch of these prompts."""
    inputs = [{"prompt": prompt} for prompt in prompts]
    return generate_many(MODEL, inputs, poll_interval=0.1, **options)


def file_counts(result: Any) -> list[int]:
    """How many files each member has."""
    return [len(member["files"]) for member in result.get(timeout=90)]


def test_a_member_is_two_messages(shared: Fleet) -> None:
    """The second message of a member stores its file: no download is sent."""
    batch_id = new_id("batch")
    log = Log(shared)

    with Events(shared) as events:
        result = many(shared, "one", "two", batch_id=batch_id).delay()
        assert [1, 1] == file_counts(result)
        for name in member_ids(shared.ledger.queries.batch(batch_id)):
            events.wait_for(name, "task-received", times=2)
            events.wait_for(name, "task-succeeded")

    assert "mulequeue.download[" not in log.text
    assert 2 == shared.emulator.stats()["downloads"]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"do": "status", "status": 503, "count": 1}, id="fails"),
        pytest.param({"do": "slow", "seconds": 4, "count": 1}, id="is late"),
    ],
)
def test_a_file_that_does_not_come_is_left_to_a_download(
    shared: Fleet, fault: dict[str, Any]
) -> None:
    """If the first attempt fails, or its host does not answer, a download makes the next ones."""
    shared.emulator.faults(downloads=[fault])
    log = Log(shared)

    assert [1] == file_counts(many(shared, "late").delay())

    log.wait_for("mulequeue.download[", times=2)


def test_files_are_stored_where_downloads_are_routed(make_fleet: Callable[..., Fleet]) -> None:
    """A worker that takes wakes alone transfers nothing; that of the downloads does."""
    fleet = make_fleet(celeryconfig=ROUTES)
    poller = fleet.worker("-Q", INTERNAL, "-c", "1", name="poller")
    creates = fleet.worker("-Q", "celery", name="creates")
    result = many(fleet, "one", "two", batch_id="b").delay()

    def settled() -> int:
        batch = fleet.ledger.queries.batch("b")
        return 0 if batch is None else batch.counts.get("succeeded", 0)

    wait_until(lambda: settled() == 2, seconds=60, what="two outcomes")
    assert 0 == fleet.ledger.queries.batch("b").downloaded
    files = fleet.worker("-Q", "files", name="files")

    assert [1, 1] == file_counts(result)
    for name in ("b-000000", "b-000001"):
        ended = f"Task mulequeue.generate[{name}] succeeded"
        wait_until(lambda ended=ended: ended in files.text, what=ended)
        assert f"mulequeue.generate[{name}]" not in poller.text
    assert "mulequeue.download[" not in files.text + creates.text


def test_without_download_the_wake_queue_is_used(make_fleet: Callable[..., Fleet]) -> None:
    """The outcome of a member that is not downloaded is returned from the queue of the wakes."""
    fleet = make_fleet(celeryconfig=ROUTES)
    fleet.worker("-Q", f"celery,{INTERNAL}")

    assert [0] == file_counts(many(fleet, "one", download=False).delay())
