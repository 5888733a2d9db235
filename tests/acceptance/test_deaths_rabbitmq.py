"""The same deaths with RabbitMQ as the broker, and those that only it can die."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
from support.deaths import assert_paid_once, generate, note, notes
from support.fleet import Fleet
from support.rabbitmq_server import QUEUES, RabbitServer
from support.waiting import wait_until


@pytest.fixture
def rabbit_fleet(make_fleet: Callable[..., Fleet], rabbit: RabbitServer) -> Callable[..., Fleet]:
    """Builds fleets whose broker is RabbitMQ; Redis has the ledger and the results."""

    def make(**options: object) -> Fleet:
        fleet = make_fleet(env={"MULEQUEUE_BROKER_URL": rabbit.url}, **options)
        fleet.app.conf.broker_url = rabbit.url
        return fleet

    return make


def test_killed_before_the_intent(rabbit_fleet: Callable[..., Fleet]) -> None:
    """A worker dies with the message in hand and nothing sent: the broker gives it back at once."""
    fleet = rabbit_fleet()
    first, _ = fleet.worker("-c", "1"), fleet.worker("-c", "1", "-Q", "mulequeue.poll")
    children = first.children()
    for child in children:
        os.kill(child.pid, signal.SIGSTOP)
    result = generate(fleet, "a mule").apply_async(task_id="order")
    wait_until(lambda: "order] received" in first.text, what="the message to be reserved")
    assert fleet.ledger.queries.record("order") is None

    first.kill()
    second = fleet.worker()

    # Without the two minutes that a Redis broker waits: only what the worker takes to start.
    wait_until(lambda: "order] received" in second.text, seconds=10, what="the redelivery")
    assert "succeeded" == result.get(timeout=30)["status"]
    assert_paid_once(fleet)


def test_the_broker_dies_and_comes_back(
    rabbit_fleet: Callable[..., Fleet], rabbit: RabbitServer
) -> None:
    """RabbitMQ is killed while generations run and another waits in its queue: durable queues and
    messages are there again, and the worker reconnects. It is killed then, too: another one takes
    over at once.
    """
    fleet = rabbit_fleet(emulator={"faults": {"lives": [{"end": "never"}]}})
    worker = fleet.worker()
    header = [generate(fleet, f"mule {number}") for number in range(3)]
    fleet.chord(header, note(fleet, "body")).delay()
    wait_until(lambda: fleet.ledger.queries.counts().get("generating") == 3, what="all ids")
    queued = generate(fleet, "queued") | note(fleet, "after")
    queued.set(queue="later").delay()

    rabbit.kill()
    wait_until(lambda: "Trying to re-establish" in worker.text, what="the worker to notice")
    rabbit.start()
    fleet.task("user.noop").delay().get(timeout=30)
    assert not worker.has_ended
    fleet.worker("-Q", ",".join(["later", *QUEUES]))
    fleet.emulator.wait(created=4)  # what waited in the queue
    worker.kill()
    for generation in fleet.emulator.generations():
        fleet.emulator.finish(generation["remote_id"])

    wait_until(lambda: notes(fleet, "body"), seconds=60, what="the body")
    wait_until(lambda: notes(fleet, "after"), seconds=60, what="the chain to go on")
    assert (1, 1) == (notes(fleet, "body"), notes(fleet, "after"))
    assert_paid_once(fleet, 4)


def test_the_broker_loses_its_queues(
    rabbit_fleet: Callable[..., Fleet], rabbit: RabbitServer
) -> None:
    """All queues are gone with the poll message in them: a worker that starts then makes them again,
    notices what is overdue, and polls on. (A wake that is lost is ``test_deaths_waiting``'s.)
    """
    fleet = rabbit_fleet(emulator={"faults": {"lives": [{"end": "never"}]}})
    first = fleet.worker()
    header = [generate(fleet, f"mule {number}") for number in range(3)]
    fleet.chord(header, note(fleet, "body")).delay()
    wait_until(lambda: fleet.ledger.queries.counts().get("generating") == 3, what="all ids")

    first.kill()
    rabbit.delete(*QUEUES)
    for generation in fleet.emulator.generations():
        fleet.emulator.finish(generation["remote_id"])
    fleet.worker()

    wait_until(lambda: notes(fleet, "body"), seconds=60, what="the body")
    assert 1 == notes(fleet, "body")
    assert_paid_once(fleet, 3)
