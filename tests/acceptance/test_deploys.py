"""New code goes out while generations are in flight: every process is ended in order and replaced."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable, Iterator

import pytest
from support.deaths import MODEL, assert_paid_once, generate, stored
from support.fleet import Fleet
from support.receiver import Receiver
from support.workers import WorkerProcess

from mulequeue import generate_many

CADENCE_SECONDS = 2.0
RECOVERY_SECONDS = 10.0
"""No status check is later than this; the bound of docs/reliability.md, not a measure of speed."""
ROLES = {
    "worker": ("-Q", "celery,mulequeue.wake", "-c", "2"),
    "transfer": ("-Q", "transfers", "-c", "2"),
    "poller": ("-Q", "mulequeue.poll,mulequeue.wake", "-c", "1"),
    "second-poller": ("-Q", "mulequeue.poll,mulequeue.wake", "-c", "1"),
}
ENV = {"MULEQUEUE_ALLOW_PRIVATE_ADDRESSES": "1", "MULEQUEUE_TRANSFER_QUEUE": "transfers"}
QUICK, LONG = 20, 10


def replace(fleet: Fleet, role: str, worker: WorkerProcess) -> WorkerProcess:
    """SIGTERM; once it is gone, a new one in its place."""
    worker.signal(signal.SIGTERM)
    worker.wait_ended(60)
    assert "Warm shutdown" in worker.text
    return fleet.worker(*ROLES[role], name=f"new-{role}")


def gaps(fleet: Fleet) -> Iterator[float]:
    """Seconds from each status check (or the create) to the next, of every generation."""
    for generation in fleet.emulator.generations():
        times = [generation["created"], *generation["polled"]]
        yield from (later - earlier for earlier, later in itertools.pairwise(times))


def test_a_rolling_deploy_loses_nothing(make_fleet: Callable[..., Fleet]) -> None:
    """Creates, checks and downloads are under way while each process is replaced: all goes on."""
    fleet = make_fleet(env=ENV, min_seconds=1, max_seconds=6)
    fleet.emulator.faults(
        lives=[{"contains": "long", "end": "never"}],
        creates=[{"do": "slow", "seconds": 0.7}],
        downloads=[{"do": "slow", "seconds": 0.7}],
    )
    workers = {role: fleet.worker(*given, name=role, wait=False) for role, given in ROLES.items()}
    for worker in workers.values():
        worker.wait_ready()
    prompts = [*(f"long {n}" for n in range(LONG)), *(f"quick {n}" for n in range(QUICK))]
    inputs = [{"prompt": prompt} for prompt in prompts]
    with Receiver() as receiver:
        generate_many(
            MODEL, inputs, notify=receiver.url, batch_id="deploy", poll_interval=CADENCE_SECONDS
        ).delay()
        fleet.emulator.wait(created=LONG, polls=LONG)

        for role, worker in workers.items():
            assert fleet.ledger.queries.counts()["generating"] >= LONG // 2
            replace(fleet, role, worker)
        for generation in fleet.emulator.generations():
            fleet.emulator.finish(generation["remote_id"])
        receiver.wait(1, seconds=60)

    assert len(prompts) == fleet.ledger.queries.batch("deploy").counts["succeeded"]
    assert_paid_once(fleet, len(prompts))
    assert len(prompts) == len(stored(fleet))
    assert 1 == len({item.id for item in receiver.received})
    longest = max(gaps(fleet))
    print(f"longest gap between two status checks: {longest:.1f} s (cadence {CADENCE_SECONDS})")
    assert longest < CADENCE_SECONDS + RECOVERY_SECONDS


@pytest.mark.parametrize(
    ("how", "pool"),
    [
        ("SIGTERM to the group", "prefork"),
        ("SIGQUIT", "prefork"),
        ("SIGQUIT", "solo"),
        ("SIGQUIT", "gevent"),
    ],
)
def test_a_create_under_way_is_finished(
    make_fleet: Callable[..., Fleet], how: str, pool: str
) -> None:
    """However a worker is told to go, the id of a create that is under way is kept."""
    fleet = make_fleet(emulator={"faults": {"lives": [{"end": "never"}]}})
    worker = fleet.worker("-P", pool)
    fleet.emulator.faults(creates=[{"do": "hold"}])
    generate(fleet, "a mule").apply_async(task_id="order")
    fleet.emulator.wait(held_creates=1)

    if how == "SIGQUIT":
        worker.signal(signal.SIGQUIT)
        worker.wait_for_text("Hitting Ctrl+C again")
    else:
        os.killpg(worker.pid, signal.SIGTERM)
        worker.wait_for_text("Warm shutdown")
    fleet.emulator.release("creates")
    worker.wait_ended(30)

    record = fleet.ledger.queries.record("order")
    assert "generating" == record.state
    assert fleet.emulator.generations()[0]["remote_id"] == record.remote_id
    assert_paid_once(fleet)
