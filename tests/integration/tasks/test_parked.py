"""What lies in the ledger while a task is parked, and how it is woken."""

from __future__ import annotations

from support.events import Events
from support.fleet import Fleet
from support.generations import new_id, one, started

from mulequeue.ledger import unpack

ENDING = "that nobody may remember"
PROMPT = "a mule " * 40 + ENDING  # the first words are kept, for people


def parked_text(fleet: Fleet, task_id: str) -> str:
    """The parked signature as text."""
    blob = fleet.redis.client.get(f"{fleet.ledger.prefix}parked:{task_id}")
    return str(unpack(blob))


def test_input_is_kept_until_it_is_sent(shared: Fleet) -> None:
    """While it waits to be sent the parked signature holds the whole input."""
    shared.emulator.faults(creates=[{"do": "status", "status": 429, "retry_after": "60"}])
    task_id = new_id()

    one(shared, PROMPT).apply_async(task_id=task_id)
    shared.wait_for_state(task_id, "waiting")

    assert ENDING in parked_text(shared, task_id)


def test_input_is_dropped_once_it_was_sent(shared: Fleet) -> None:
    """Once the id is recorded the parked signature holds no input any more."""
    shared.emulator.faults(lives=[{"end": "never"}])

    task_id = started(shared, PROMPT)

    assert ENDING not in parked_text(shared, task_id)


def test_parked_signature_is_gone_after_the_delivery(shared: Fleet) -> None:
    """A delivered record keeps its outcome, not the signature."""
    task_id = new_id()
    one(shared).apply_async(task_id=task_id).get(timeout=30)
    shared.wait_for_state(task_id, "delivered")

    assert not shared.redis.client.exists(f"{shared.ledger.prefix}parked:{task_id}")
    assert shared.ledger.queries.record(task_id).answer["assets"]


def test_wakes_belong_to_no_task(shared: Fleet) -> None:
    """Both deliveries have no parent, and what follows has the generation as parent and root."""
    with Events(shared) as events:
        result = (one(shared) | shared.task("user.collect")).delay()
        result.get(timeout=30)

        task_id = result.parent.id
        received = [
            event
            for event in events.wait_for(task_id, "task-received", times=2)
            if event["type"] == "task-received"
        ]
        assert [None, None] == [event["parent_id"] for event in received]
        assert {task_id} == {event["root_id"] for event in received}
        [after] = [e for e in events.wait_for(result.id, "task-received") if "parent_id" in e][-1:]
        assert (task_id, task_id) == (after["parent_id"], after["root_id"])


def test_parking_leaves_no_trail(shared: Fleet) -> None:
    """The result of a generation lists no children of the poll loop."""
    result = one(shared).delay()

    result.get(timeout=30)

    assert [] == (result.children or [])


def test_expiry_and_eta_end_with_the_first_delivery(shared: Fleet) -> None:
    """A task that would have expired while the API worked is woken all the same."""
    shared.emulator.faults(lives=[{"seconds": 1.2}])

    outcome = one(shared).apply_async(expires=1.0).get(timeout=30)

    assert "succeeded" == outcome["status"]


def test_wake_is_not_behind_others(shared: Fleet) -> None:
    """A new generation is behind the other messages of its queue; the message that wakes it is not."""
    shared.emulator.faults(lives=[{"end": "never"}])

    task_id = started(shared)

    blob = shared.redis.client.get(f"{shared.ledger.prefix}parked:{task_id}")
    assert 0 == unpack(blob)["options"]["priority"]


def test_priority_and_headers_survive(shared: Fleet) -> None:
    """Headers and priority of the message are the same on the second delivery."""
    shared.emulator.faults(lives=[{"end": "never"}])
    task_id = new_id()

    one(shared).apply_async(task_id=task_id, priority=7, headers={"tenant": "blue"})
    shared.wait_for_state(task_id, "generating")

    blob = shared.redis.client.get(f"{shared.ledger.prefix}parked:{task_id}")
    options = unpack(blob)["options"]
    assert 7 == options["priority"]
    assert "blue" == options["headers"]["tenant"]
    assert "mulequeue.wake" == options["queue"]
