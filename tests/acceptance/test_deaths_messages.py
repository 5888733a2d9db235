"""The broker hands a message to a worker that is killed before anybody knows that it has it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from support.deaths import assert_paid_once, generate, note, notes, stored, wait_awake
from support.fleet import Fleet
from support.receiver import Receiver
from support.waiting import wait_until

# What follows a generation goes to a queue that nobody takes yet.
ROUTES = """
task_routes = {
    f"mulequeue.{name}": {"queue": "next"}
    for name in ("download", "notify", "generate_from", "gather")
}
"""


def _name(message: bytes) -> str:
    return str(json.loads(message)["headers"]["task"])


def _orders(fleet: Fleet, url: str) -> list[Any]:
    """One of each kind of message that Celery publishes after something was paid."""
    download, notify = fleet.task("mulequeue.download"), fleet.task("mulequeue.notify", url)
    model = "alibaba/wan2.6-t2i"
    more = fleet.task("mulequeue.generate_from", model, {"prompt": "more"}, use="negative_prompt")
    return [
        generate(fleet, "stored") | download | note(fleet, "stored"),
        fleet.chord([generate(fleet, f"told {n}") for n in range(2)], notify | note(fleet, "told")),
        generate(fleet, "first") | more | note(fleet, "followed"),
        fleet.chord([generate(fleet, "gathered")], fleet.task("mulequeue.gather")),
    ]


def test_what_follows_a_generation_is_lost_on_its_way(make_fleet: Callable[..., Fleet]) -> None:
    """Lost messages are published again, and run once; so does one that was only late."""
    fleet = make_fleet(celeryconfig=ROUTES)
    redis = fleet.redis.client
    fleet.worker("-Q", "celery,mulequeue.poll,mulequeue.wake")
    with Receiver() as receiver:
        orders = [order.delay() for order in _orders(fleet, receiver.url)]
        wait_until(lambda: redis.llen("next") == 4, what="what follows")
        late = generate(fleet, "late") | fleet.task("mulequeue.download") | note(fleet, "late")
        orders.append(late.delay())
        wait_until(lambda: redis.llen("next") == 5, what="the late one")

        lost = [_name(redis.brpop("next")[1]) for _ in range(4)]
        assert ["download", "gather", "generate_from", "notify"] == sorted(
            name.removeprefix("mulequeue.") for name in lost
        )
        wait_until(lambda: redis.llen("next") == 6, seconds=60, what="all to be sent again")
        last = fleet.worker("-Q", "next")

        for order in orders:
            order.get(timeout=60)
        wait_until(lambda: not redis.llen("next"), what="repeated messages to be taken")
        wait_awake(fleet, last)
        assert 1 == len(receiver.received)
    assert_paid_once(fleet, 7)
    assert 2 == len(stored(fleet))
    assert [1] * 4 == [notes(fleet, name) for name in ("stored", "told", "followed", "late")]
