"""A worker dies while the second canvas of a task id gets the outcome of the first one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.deaths import SHORT_VISIBILITY, assert_paid_once, generate, note, notes
from support.fleet import Fleet
from support.hanging import HANG
from support.waiting import wait_until


def _order(fleet: Fleet, name: str) -> Any:
    hero = generate(fleet, "the hero").set(task_id="hero")
    return (hero | fleet.task("mulequeue.download") | note(fleet, name)).delay()


@pytest.mark.parametrize(
    ("moment", "sender"),
    [
        ("before", "mulequeue.generate"),
        ("after", "mulequeue.generate"),
        ("before", "mulequeue.download"),
        ("after", "mulequeue.download"),
    ],
    ids=["parked", "woken", "delivering", "dispatched"],
)
def test_killed_with_a_second_canvas_in_hand(
    make_fleet: Callable[..., Fleet], moment: str, sender: str
) -> None:
    """The second canvas goes on elsewhere, wherever its worker dies; each runs its next task once."""
    fleet = make_fleet(celeryconfig=SHORT_VISIBILITY + HANG)
    first = fleet.worker()
    _order(fleet, "one").get(timeout=30)
    fleet.wait_for_state("hero", "delivered")
    order, hangs = fleet.folder / f"hang-{moment}-{sender}", fleet.folder / f"hangs-{moment}"
    order.touch()
    second = _order(fleet, "two")
    wait_until(hangs.exists, what=f"a worker to stand still {moment} it publishes {sender}")

    first.kill()
    order.unlink()
    fleet.worker()

    assert "succeeded" == second.get(timeout=90)["status"]
    key = f"{fleet.ledger.prefix}continuations:hero"
    wait_until(
        lambda: fleet.redis.client.hvals(key) == [b""], seconds=90, what="the canvas to be over"
    )
    assert_paid_once(fleet)
    assert (1, 1) == (notes(fleet, "one"), notes(fleet, "two"))


def test_all_workers_die_while_two_canvases_wait(make_fleet: Callable[..., Fleet]) -> None:
    """Both canvases of a running generation survive every worker."""
    fleet = make_fleet(celeryconfig=SHORT_VISIBILITY)
    fleet.emulator.faults(lives=[{"end": "never"}])
    first = fleet.worker()
    results = [_order(fleet, "one")]
    remote_id = fleet.wait_for_state("hero", "generating").remote_id
    results.append(_order(fleet, "two"))
    key = f"{fleet.ledger.prefix}continuations:hero"
    wait_until(lambda: fleet.redis.client.hlen(key), what="the second canvas to be parked")

    first.kill()
    fleet.emulator.finish(remote_id)
    fleet.worker()

    assert ["succeeded"] * 2 == [result.get(timeout=90)["status"] for result in results]
    assert_paid_once(fleet)
    wait_until(lambda: fleet.redis.client.hvals(key) == [b""], what="the canvas to be over")
    assert (1, 1) == (notes(fleet, "one"), notes(fleet, "two"))
