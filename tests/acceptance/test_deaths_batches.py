"""Workers die while they publish, count, wake and end a batch; what follows the batch runs once."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import psutil
import pytest
from support.deaths import assert_paid_once, note, notes, stored
from support.fleet import Fleet
from support.user_tasks import slow
from support.waiting import wait_until

from mulequeue.tasks.canvases import generate_many

MODEL = "alibaba/wan2.6-t2i"
# A worker stands still where a test needs it to, and says so in a file.
HANG = """
import pathlib, time
from celery import signals
from mulequeue.signals import files_stored

def hang(name):
    if pathlib.Path(f"hang-{name}").exists():
        pathlib.Path(f"hangs-{name}").touch()
        time.sleep(600)

@signals.before_task_publish.connect(weak=False)
def before(sender=None, headers=None, **_):
    hang(f"before-{headers['id']}")
    hang(f"before-{sender}")

@files_stored.connect(weak=False)
def stored(task_id=None, **_):
    hang(f"stored-{task_id}")
"""


def batch(fleet: Fleet, size: int = 6) -> Any:
    inputs = [{"prompt": f"mule {number}", "n": 1} for number in range(size)]
    many = generate_many(MODEL, inputs, batch_id="b", poll_interval=0.5)
    return many | note(fleet, "told").set(task_id="told")


@pytest.mark.parametrize(
    "place",
    [
        pytest.param("before-b-000003", id="amid its members"),
        pytest.param("before-user.note", id="before what follows it"),
    ],
)
def test_killed_while_a_batch_is_published_or_ends(
    make_told_fleet: Callable[..., Fleet], place: str
) -> None:
    """Another worker publishes the rest of the members, and what follows the batch, once."""
    fleet = make_told_fleet(celeryconfig=HANG)
    (fleet.folder / f"hang-{place}").touch()
    first = fleet.worker("-c", "1")  # no create is under way
    result = batch(fleet).delay()
    hangs = fleet.folder / f"hangs-{place}"
    wait_until(hangs.exists, seconds=60, what=f"a worker to stand still {place}")

    first.kill()
    (fleet.folder / f"hang-{place}").unlink()
    fleet.worker()

    members = result.get(timeout=120)
    assert ["succeeded"] * 6 == [member["status"] for member in members]
    assert 6 == len(stored(fleet))
    assert_paid_once(fleet, 6)
    assert 1 == notes(fleet, "told")


def test_killed_between_the_last_count_and_the_wake(make_fleet: Callable[..., Fleet]) -> None:
    """The batch is over in the ledger and every message about it is lost: it is woken all the same."""
    fleet = make_fleet(celeryconfig=HANG)
    for number in range(2):
        (fleet.folder / f"hang-stored-b-{number:06}").touch()
    first = fleet.worker("-c", "2")  # none is left to wake the batch
    result = batch(fleet, 2).delay()
    for number in range(2):
        hangs = fleet.folder / f"hangs-stored-b-{number:06}"
        wait_until(hangs.exists, seconds=60, what="a download to be recorded")
    assert 2 == fleet.ledger.queries.batch("b").downloaded
    first.kill()
    fleet.redis.client.delete("mulequeue.poll", "mulequeue.wake", "celery", "unacked")

    for number in range(2):
        (fleet.folder / f"hang-stored-b-{number:06}").unlink()
    fleet.worker()

    assert 2 == len(result.get(timeout=120))
    assert_paid_once(fleet, 2)
    assert 1 == notes(fleet, "told")


def test_the_pool_dies_again_and_again(make_fleet: Callable[..., Fleet]) -> None:
    """A process of the pool is killed at every fourth create: a batch of forty comes to its end.

    A pool reports what its dead processes held once no process has died for ten seconds. So it is the
    progress of the work that kills, and not a clock.
    """
    fleet = make_fleet()
    worker = fleet.worker("-c", "4")
    result = batch(fleet, 40).delay()
    killed = 0

    def is_half_done() -> bool:
        nonlocal killed
        found = fleet.ledger.queries.batch("b")
        if fleet.emulator.stats()["creates"] >= 4 * (killed + 1):
            with suppress(psutil.NoSuchProcess):
                for child in worker.children()[:1]:
                    child.kill()
            killed += 1
        return found is not None and found.over >= 20

    wait_until(is_half_done, seconds=120, what="half of the batch")

    members = result.get(timeout=180)
    assert killed >= 4
    assert 40 == len(members)
    assert {"succeeded", "submit_unknown"} >= {member["status"] for member in members}
    stats = fleet.emulator.stats()
    assert (0, 0) == (stats["duplicates"], stats["auth_leaks"])
    assert 1 == notes(fleet, "told")


def test_the_sender_needs_the_broker_alone(make_fleet: Callable[..., Fleet]) -> None:
    """A process that cannot reach the ledger sends a batch and reads its result."""
    fleet = make_fleet()
    fleet.worker()
    fleet.app.conf.mulequeue_redis_url = "redis://127.0.0.1:9/0"

    result = batch(fleet).delay()

    assert 6 == len(result.get(timeout=60))
    assert_paid_once(fleet, 6)
    assert 1 == notes(fleet, "told")
    assert os.environ.get("MULEQUEUE_REDIS_URL") is None


def test_killed_amid_downloads_and_amid_the_task_of_each(
    make_told_fleet: Callable[..., Fleet],
) -> None:
    """The task of ``each`` ends once per member, wherever the worker was killed, failed or stored."""
    fleet = make_told_fleet()
    fleet.emulator.faults(
        lives=[{"contains": "mule 3", "end": "failed"}],
        downloads=[{"do": "hold", "count": 2}],
    )
    first = fleet.worker("-c", "4")
    inputs = [{"prompt": f"mule {number}", "n": 1} for number in range(6)]
    each = slow.s(str(fleet.folder))
    result = generate_many(MODEL, inputs, batch_id="b", poll_interval=0.5, each=each).delay()
    fleet.emulator.wait(held_downloads=2)
    wait_until((fleet.folder / "began").exists, what="a call of the task")

    first.kill()
    fleet.emulator.release()
    (fleet.folder / "go").touch()
    fleet.worker("-c", "4")

    def ended() -> list[str]:
        return sorted((fleet.folder / "ended").read_text().splitlines())

    wait_until((fleet.folder / "ended").exists, seconds=90, what="an end")
    wait_until(lambda: 6 <= len(ended()), seconds=90, what="six ends")
    statuses = [member["status"] for member in result.get(timeout=90)]
    assert [3] == [index for index, status in enumerate(statuses) if status != "succeeded"]
    for index in range(6):
        end = partial(fleet.ledger.leases.result, f"b-{index:06d}-each")
        wait_until(end, what="the end of a call")
    assert [f"b-{index:06d}" for index in range(6)] == ended()
    assert_paid_once(fleet, 6)
