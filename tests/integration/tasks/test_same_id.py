"""The task id is the idempotency key: enqueue twice, pay once."""

from __future__ import annotations

from support.fleet import Fleet
from support.generations import Log, new_id, one, started

DUPLICATE = "nothing to do for this message: duplicate"


def test_same_id_twice_pays_once(shared: Fleet) -> None:
    """The same id enqueued twice makes one create, and both callers get its outcome."""
    task_id, log = new_id("order"), Log(shared)

    first = one(shared).apply_async(task_id=task_id)
    second = one(shared).apply_async(task_id=task_id)

    assert first.get(timeout=30) == second.get(timeout=30)
    log.wait_for(DUPLICATE)
    assert 1 == shared.emulator.stats()["creates"]


def test_redelivery_while_it_runs_never_submits(shared: Fleet) -> None:
    """A message that the broker delivers again while the generation runs changes nothing."""
    shared.emulator.faults(lives=[{"end": "never"}])
    task_id, log = started(shared), Log(shared)
    before = shared.ledger.queries.record(task_id)

    one(shared).apply_async(task_id=task_id)
    log.wait_for(DUPLICATE)

    after = shared.ledger.queries.record(task_id)
    assert before.remote_id == after.remote_id
    assert "generating" == after.state
    assert 1 == shared.emulator.stats()["creates"]


def test_redelivery_after_the_end_never_submits_nor_delivers(shared: Fleet) -> None:
    """The same id enqueued after its outcome was delivered keeps that outcome and its state."""
    task_id = new_id()
    outcome = one(shared).apply_async(task_id=task_id).get(timeout=30)
    shared.wait_for_state(task_id, "delivered")
    log = Log(shared)

    again = one(shared).apply_async(task_id=task_id)
    log.wait_for(DUPLICATE)

    assert "SUCCESS" == again.state
    assert outcome == again.get(timeout=5)
    assert 1 == shared.ledger.queries.record(task_id).deliveries
    assert 1 == shared.emulator.stats()["creates"]


def test_same_id_with_another_input_warns(shared: Fleet) -> None:
    """The first input of an id stands; another one is a warning, and is not sent."""
    shared.emulator.faults(lives=[{"end": "never"}])
    task_id, log = started(shared, "the first"), Log(shared)

    one(shared, "the second").apply_async(task_id=task_id)

    log.wait_for("a task id was enqueued again with another input; the first input is kept")
    sent = [create["body"]["prompt"] for create in shared.emulator.creates()]
    assert ["the first"] == sent
