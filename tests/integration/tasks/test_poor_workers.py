"""A fleet in which some workers lack something stores its files and sends its notifications all the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.fleet import Fleet
from support.generations import one
from support.raw_server import RawServer

# Each of them lets no download or no notification succeed.
LACKS = {
    "secret": {"MULEQUEUE_NOTIFICATION_SECRET": ""},
    "storage package": {"MULEQUEUE_STORAGE": "abfs://container/x"},
    "CA bundle": {"REQUESTS_CA_BUNDLE": "/not/there.pem"},
    "valid settings": {"MULEQUEUE_POLL_CONCURRENCY": "many"},
    "folder": {"MULEQUEUE_STORAGE": "/proc/none"},
}

RICH = ["rich@test"]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet(tmp_path_factory.mktemp("poor"), min_seconds=0.05, max_seconds=0.1) as fleet:
        fleet.worker("-c", "2", name="rich")
        yield fleet


@pytest.mark.parametrize("lack", LACKS)
def test_work_that_a_worker_cannot_do_is_left_to_others(
    fleet: Fleet, receiver: RawServer, lack: str
) -> None:
    """No worker gives a verdict for what only its own host cannot do, and it says what it lacks."""
    outcome = one(fleet).delay().get(timeout=60)
    before, fleet.env = fleet.env, {**fleet.env, **LACKS[lack]}
    poor = fleet.worker("-c", "2", "-Q", "celery")
    fleet.env = before
    works = [fleet.task("mulequeue.download", outcome) for _ in range(8)]
    works += [fleet.task("mulequeue.notify", outcome, f"{receiver.url}/hook") for _ in range(8)]

    try:
        fleet.app.control.cancel_consumer("celery", destination=RICH, reply=True, timeout=5)
        ends = [work.delay() for work in works]
        told = {"folder": "failed; retrying in", "valid settings": "retry: Retry in"}
        poor.wait_for_text(told.get(lack, "cannot run on this worker"))
        fleet.app.control.add_consumer("celery", destination=RICH, reply=True, timeout=5)
        stored = sum(bool(end.get(timeout=120)["files"]) for end in ends)
    finally:
        poor.stop()

    assert (8, 8) == (stored, len(receiver.requests))
