"""The API is down with hundreds in flight; a batch is cancelled while most of it is still queued.

Generations are checked twice a second, ten times as often as by default: what is bound is counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from support.fleet import Fleet
from support.generations import MODEL
from support.waiting import wait_until

from mulequeue.tasks.canvases import generate_many
from mulequeue.tasks.control import cancel

IN_FLIGHT = 500
DOWN_SECONDS = 6
POLL_CONCURRENCY = 64


def _batch(fleet: Fleet, name: str, count: int, **call: Any) -> None:
    inputs = [{"prompt": f"{name} {number}"} for number in range(count)]
    batch = generate_many(MODEL, inputs, batch_id=name, download=False, **call)
    batch.apply_async(ignore_result=True)


def _finish_all(fleet: Fleet) -> None:
    for generation in fleet.emulator.generations():
        fleet.emulator.finish(generation["remote_id"])


def _counts(fleet: Fleet, name: str) -> dict[str, int]:
    batch = fleet.ledger.queries.batch(name)
    return {} if batch is None else dict(batch.counts)


def test_an_outage_with_hundreds_in_flight(make_fleet: Callable[..., Fleet]) -> None:
    """While the API is down a handful of requests asks for it; when it is back, what is in flight
    returns over ten seconds instead of at once, and every generation ends well.
    """
    fleet = make_fleet(emulator={"faults": {"lives": [{"end": "never"}]}})
    fleet.app.set_current()
    fleet.worker("-c", "4")
    _batch(fleet, "herd", IN_FLIGHT, poll_interval=0.5)
    wait_until(
        lambda: _counts(fleet, "herd").get("generating") == IN_FLIGHT, seconds=60, what="all ids"
    )

    down = {"do": "status", "status": 503}
    fleet.emulator.faults(polls=[down], creates=[down])
    before = fleet.emulator.stats()["polls"]
    time.sleep(DOWN_SECONDS)  # the length of the outage is what is tested
    asked = fleet.emulator.stats()["polls"] - before
    assert IN_FLIGHT == _counts(fleet, "herd")["generating"]
    # Up it was asked 1,000 times a second. Down, every process asks at most what it had under way
    # when it noticed, then one probe per pause (2, 4, 8 … seconds) asks for all of them.
    assert 1 <= asked <= 4 * POLL_CONCURRENCY + 10

    _finish_all(fleet)
    fleet.emulator.reset_faults()
    seen = [(time.monotonic(), fleet.emulator.stats()["polls"])]

    def all_ended() -> bool:
        seen.append((time.monotonic(), fleet.emulator.stats()["polls"]))
        return _counts(fleet, "herd").get("succeeded") == IN_FLIGHT

    wait_until(all_ended, seconds=60, what="every generation to end", every=0.25)
    checks = [(at, polls - seen[0][1]) for at, polls in seen]

    def time_of(share: float) -> float:
        return next(at for at, number in checks if number >= share * checks[-1][1])

    spread = time_of(0.9) - time_of(0.1)
    print(
        f"asked while down: {asked}; seconds from a tenth to nine tenths of the checks: {spread:.1f}"
    )
    # One check each, spread over ten seconds. A busy machine bunches them, so no single second is looked at.
    assert spread >= 3
    assert (IN_FLIGHT, 0) == tuple(fleet.emulator.stats()[n] for n in ("created", "duplicates"))
    assert seen[-1][1] - seen[0][1] <= 1.2 * IN_FLIGHT


def test_a_batch_cancelled_in_its_queue(fleet: Fleet) -> None:
    """Of a thousand 200 were sent when the batch is cancelled: the API receives no request for the
    rest, those whose messages are still queued included, and every task comes to its end.
    """
    fleet.app.set_current()
    fleet.env["MULEQUEUE_MAX_IN_FLIGHT"] = "200"
    fleet.emulator.faults(lives=[{"end": "never"}])
    _batch(fleet, "much", 1000, poll_interval=1.0)
    fleet.worker("-c", "4")
    fleet.emulator.wait(created=200)
    wait_until(lambda: _counts(fleet, "much").get("generating") == 200, what="200 ids")

    cancel("much", app=fleet.app)

    wait_until(
        lambda: _counts(fleet, "much").get("cancelled") == 1000, seconds=60, what="all to end"
    )
    assert 200 == fleet.emulator.stats()["creates"]
