"""The result backend is a server of its own, and away when generations end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.fleet import Fleet
from support.generations import MODEL, Log, one
from support.redis_server import RedisServer
from support.waiting import wait_until

from mulequeue.engine.worker_context import worker_context
from mulequeue.ledger import Effects
from mulequeue.tasks.canvases import generate_many

# Celery itself tries for twenty seconds.
IMPATIENT = """
result_backend_transport_options = {"retry_policy": {"max_retries": 1, "interval_step": 0.1}}
"""
MISSING = "could not be stored"


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the results' own."""
    folder = tmp_path / "results"
    folder.mkdir()
    server = RedisServer(folder, persistent=True)
    yield server
    server.stop()


@pytest.fixture
def fleet(make_fleet: Callable[..., Fleet], backend: RedisServer) -> Fleet:
    fleet = make_fleet(
        env={"MULEQUEUE_RESULT_BACKEND": backend.url},
        celeryconfig=IMPATIENT,
        emulator={"faults": {"lives": [{"end": "never"}]}},
    )
    fleet.app.conf.result_backend = backend.url
    fleet.worker("-c", "4", "--without-mingle")
    return fleet


def finish(fleet: Fleet, count: int) -> None:
    """Let the generations end at the API once it has so many."""
    fleet.emulator.wait(created=count)
    for generation in fleet.emulator.generations():
        fleet.emulator.finish(generation["remote_id"])


def deliver_again(fleet: Fleet, *names: str) -> None:
    """Let entries be due that are due in half a minute."""
    now = fleet.ledger.queries.now()
    fleet.redis.client.zadd(f"{fleet.ledger.prefix}due", dict.fromkeys(names, now), xx=True)
    worker_context(fleet.app).carry_out(Effects(poll_by=now)).result()


def test_what_follows_runs_once_and_a_success_stays_one(
    fleet: Fleet, backend: RedisServer, tmp_path: Path
) -> None:
    """While the backend is away chains go on once; their results are stored when it is back."""
    notes = [tmp_path / name for name in ("plain", "stored")]
    note = [fleet.task("user.note", path=str(path)).set(ignore_result=True) for path in notes]
    download = fleet.task("mulequeue.download").set(task_id="b-stored")
    log = Log(fleet)
    (one(fleet).set(task_id="a") | note[0]).delay()
    (one(fleet).set(task_id="b") | download | note[1]).delay()
    fleet.emulator.wait(created=2)
    backend.kill()
    finish(fleet, 2)
    wait_until(lambda: all(path.exists() for path in notes), what="what follows")
    log.wait_for(MISSING, times=3)
    deliver_again(fleet, "a", "b", "transfer:b-stored")
    log.wait_for(MISSING, times=6)

    backend.start()
    deliver_again(fleet, "a", "b", "transfer:b-stored")

    for task_id in ("a", "b"):
        record = fleet.wait_for_state(task_id, "delivered")
        assert ("succeeded", False) == (record.status, record.poisoned)
        assert "succeeded" == fleet.app.AsyncResult(task_id).get(timeout=30)["status"]
    assert 1 == len(fleet.app.AsyncResult("b-stored").get(timeout=30)["files"])
    assert ["ran\n"] * 2 == [path.read_text() for path in notes]
    assert 1 == fleet.emulator.stats()["downloads"]


def test_a_chord_by_hand_of_our_tasks_goes_on(
    fleet: Fleet, backend: RedisServer, tmp_path: Path
) -> None:
    """Members that could not be counted are counted when the backend is back; the body runs once."""
    notes, log = tmp_path / "body", Log(fleet)
    header = [one(fleet, name, on_failure="return").set(task_id=name) for name in ("a", "b")]
    body = fleet.chord(header, fleet.task("user.note", path=str(notes))).delay()
    fleet.emulator.wait(created=2)
    backend.kill()
    finish(fleet, 2)
    log.wait_for(MISSING, times=2)

    backend.start()
    deliver_again(fleet, "a", "b")

    assert ["succeeded"] * 2 == [outcome["status"] for outcome in body.get(timeout=30)]
    assert "ran\n" == notes.read_text()


def test_a_failure_is_told_when_the_backend_is_back(fleet: Fleet, backend: RedisServer) -> None:
    """An error whose state could not be stored reaches its caller later, with its reason."""
    fleet.emulator.faults(lives=[{"end": "failed"}], polls=[{"do": "hold", "count": 1}])
    log = Log(fleet)
    result = one(fleet).set(task_id="a").delay()
    fleet.emulator.wait(held_polls=1)
    backend.kill()
    fleet.emulator.release("polls")
    log.wait_for(MISSING)

    backend.start()
    deliver_again(fleet, "a")

    with pytest.raises(Exception, match="generation failed"):
        result.get(timeout=30)
    assert "failed" == fleet.wait_for_state("a", "delivered").status


def test_a_batch_needs_no_result_backend(
    fleet: Fleet, backend: RedisServer, tmp_path: Path
) -> None:
    """Its members and what follows it go on while the backend is away."""
    notes = tmp_path / "batch"
    inputs = [{"prompt": name, "n": 1} for name in ("a", "b")]
    batch = generate_many(MODEL, inputs, batch_id="b", poll_interval=0.1)
    follower = fleet.task("user.note", path=str(notes)).set(ignore_result=True)
    (batch | follower).delay()
    fleet.emulator.wait(created=2)
    backend.kill()

    finish(fleet, 2)

    wait_until(notes.exists, what="what follows the batch")
    assert 2 == fleet.ledger.queries.batch("b").downloaded
