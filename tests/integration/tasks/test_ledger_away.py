"""What a worker says while the ledger's Redis is away, and while nothing happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.fleet import Fleet
from support.generations import MODEL
from support.redis_server import RedisServer
from support.waiting import wait_until

AWAY, BACK = "the ledger's Redis does not answer", "the ledger's Redis answers again"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the broker's own: only the ledger's goes away."""
    folder = tmp_path / "broker"
    folder.mkdir()
    server = RedisServer(folder)
    yield server
    server.stop()


def test_each_process_says_once_that_redis_is_away(
    make_fleet: Callable[..., Fleet], broker: RedisServer
) -> None:
    """One warning without a traceback, then silence, then one line; and everything goes on."""
    urls = {"MULEQUEUE_BROKER_URL": broker.url, "MULEQUEUE_RESULT_BACKEND": broker.url}
    fleet = make_fleet(
        persistent=True, env=urls, emulator={"faults": {"lives": [{"end": "never"}]}}
    )
    fleet.app.conf.update(broker_url=broker.url, result_backend=broker.url)
    worker = fleet.worker("-c", "2", "-l", "INFO")
    generate = fleet.task(
        "mulequeue.generate", MODEL, {"prompt": "a mule", "n": 1}, poll_interval=0.2
    )
    results = [generate.delay() for _ in range(20)]
    fleet.emulator.wait(created=20, polls=60)

    fleet.redis.kill()
    wait_until(lambda: AWAY in worker.text, what="a word about Redis")
    fleet.task("mulequeue.generate", MODEL, {"prompt": "meanwhile", "n": 1}).delay()
    wait_until(lambda: worker.text.count(AWAY) >= 2, what="a pool process to meet it too")
    fleet.redis.start()
    for generation in fleet.emulator.generations():
        fleet.emulator.finish(generation["remote_id"])

    for result in results:
        assert "succeeded" == result.get(timeout=60)["status"]
    wait_until(lambda: BACK in worker.text, what="a word about its return")
    lines = [line for line in worker.text.splitlines() if AWAY in line or BACK in line]
    speakers = [line.split("/")[1].split("]")[0] for line in lines if AWAY in line]
    assert len(speakers) == len(set(speakers)) <= 3
    assert all("Start it, or correct mulequeue_redis_url" in line for line in lines if AWAY in line)
    assert "Traceback" not in worker.text


def test_a_ledger_that_hangs_stops_nothing_else(
    make_fleet: Callable[..., Fleet], broker: RedisServer
) -> None:
    """Until the watchdog's call has timed out, other tasks run; a revocation meanwhile is not lost."""
    urls = {"MULEQUEUE_BROKER_URL": broker.url, "MULEQUEUE_RESULT_BACKEND": broker.url}
    fleet = make_fleet(env=urls, emulator={"faults": {"lives": [{"end": "never"}]}})
    fleet.app.conf.update(broker_url=broker.url, result_backend=broker.url)
    worker = fleet.worker("-c", "2", "-l", "INFO")
    generate = fleet.task("mulequeue.generate", MODEL, {"prompt": "a", "n": 1}, poll_interval=3000)
    parked = generate.set(task_id="parked").apply_async()
    fleet.wait_for_state("parked", "generating")

    fleet.redis.hang()
    parked.revoke()
    while AWAY not in worker.text:
        assert fleet.task("user.noop").delay().get(timeout=10)
    fleet.redis.go_on()

    assert "cancelled" == fleet.wait_for_state("parked", "delivered").status
    wait_until(lambda: parked.state == "REVOKED", what="REVOKED")


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_an_idle_poll_loop_is_quiet(make_fleet: Callable[..., Fleet], level: str) -> None:
    """Celery's two lines about each run of the poll loop are shown at DEBUG alone."""
    fleet = make_fleet()
    worker = fleet.worker("-c", "1", "-l", level)
    result = fleet.task("mulequeue.generate", MODEL, {"prompt": "a", "n": 1}, poll_interval=0.1)

    assert "succeeded" == result.delay().get(timeout=30)["status"]

    wait_until(lambda: worker.text.count("Task mulequeue.generate[") >= 4, what="both deliveries")
    said = [line for line in worker.text.splitlines() if "Task mulequeue.poll[" in line]
    assert bool(said) == (level == "DEBUG")
    assert all("DEBUG/" in line for line in said)
