"""Cancelling, on our side: the API knows no cancel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.fleet import Fleet
from support.generations import MODEL, Log, new_id, one, started
from support.waiting import wait_until

from mulequeue.errors import GenerationCancelled, InputError
from mulequeue.tasks.batch_ids import member_id
from mulequeue.tasks.canvases import generate_many
from mulequeue.tasks.control import cancel

NEVER = {"lives": [{"end": "never"}]}


def error_of(result: Any) -> GenerationCancelled:
    with pytest.raises(GenerationCancelled) as caught:
        result.get(timeout=30)
    return caught.value


def test_cancel_while_the_api_works(shared: Fleet) -> None:
    """A cancelled generation ends at once, and says that it is probably billed."""
    shared.emulator.faults(**NEVER)
    task_id = started(shared)

    assert {task_id: "generating"} == cancel(task_id, app=shared.app)

    exc = error_of(shared.app.AsyncResult(task_id))
    assert "probably billed" in str(exc)
    assert exc.outcome["remote_id"]


def test_cancel_while_it_waits(shared: Fleet) -> None:
    """What waits to be sent and is cancelled never is."""
    shared.emulator.faults(creates=[{"do": "status", "status": 429, "retry_after": "60"}])
    result = one(shared).apply_async(task_id=new_id())
    shared.wait_for_state(result.id, "waiting")

    assert {result.id: "waiting"} == cancel(result.id, app=shared.app)

    assert error_of(result).outcome["remote_id"] is None
    assert 0 == shared.emulator.stats()["created"]


def test_cancel_while_it_is_sent(shared: Fleet) -> None:
    """The id of a create that was under way is still recorded: it is paid."""
    shared.emulator.faults(creates=[{"do": "hold"}])
    result = one(shared).apply_async(task_id=new_id())
    shared.emulator.wait(held_creates=1)

    assert {result.id: "submitting"} == cancel(result.id, app=shared.app)
    shared.emulator.release()

    [generation] = shared.emulator.generations() or wait_until(shared.emulator.generations)
    assert generation["remote_id"] == error_of(result).outcome["remote_id"]


def test_cancel_before_it_arrives(shared: Fleet) -> None:
    """An id that is cancelled before its message arrives is never sent."""
    task_id = new_id()

    assert {task_id: "unknown"} == cancel(task_id, in_advance=True, app=shared.app)

    error_of(one(shared).apply_async(task_id=task_id))
    assert 0 == shared.emulator.stats()["creates"]


def test_an_unknown_id_is_an_error_and_reserves_nothing(shared: Fleet) -> None:
    """A generation whose id was mistyped in a call to ``cancel`` is made."""
    task_id = new_id()

    with pytest.raises(InputError, match=f"no task, batch or remote id {task_id}.*in_advance=True"):
        cancel(task_id, app=shared.app)

    result = one(shared).apply_async(task_id=task_id)
    assert "succeeded" == result.get(timeout=30)["status"]


def test_a_remote_id_and_a_member_that_has_not_begun_are_known(shared: Fleet) -> None:
    """Each id that is printed can be cancelled."""
    shared.emulator.faults(**NEVER)
    batch = {"batch_id": new_id("batch"), "batch_size": 2}
    first, second = (member_id(batch["batch_id"], index) for index in range(2))
    one(shared, **batch).apply_async(task_id=first)
    remote_id = shared.wait_for_state(first, "generating").remote_id

    assert {second: "unknown"} == cancel(second, app=shared.app)
    assert {first: "generating"} == cancel(remote_id, app=shared.app)


def test_cancel_after_the_end_changes_nothing(shared: Fleet) -> None:
    """A delivered outcome stays what it is."""
    result = one(shared).apply_async(task_id=new_id())
    result.get(timeout=30)
    shared.wait_for_state(result.id, "delivered")

    assert {result.id: "delivered"} == cancel(result.id, app=shared.app)

    assert "succeeded" == shared.ledger.queries.record(result.id).status


def test_cancel_a_batch(shared: Fleet) -> None:
    """The members of a cancelled batch end as cancelled, and its body runs."""
    shared.emulator.faults(**NEVER)
    batch_id = new_id("batch")
    result = generate_many(
        MODEL, [{"prompt": "a"}, {"prompt": "b"}], poll_interval=0.1, batch_id=batch_id
    ).delay()
    members = [member_id(batch_id, index) for index in range(2)]
    for member in members:
        shared.wait_for_state(member, "generating")

    assert dict.fromkeys(members, "generating") == cancel(batch_id, app=shared.app)

    assert ["cancelled"] * 2 == [member["status"] for member in result.get(timeout=30)]


def test_cancel_only_what_waits(shared: Fleet) -> None:
    """What the API has is paid, so it goes on to its files; the rest of the batch is never sent."""
    shared.emulator.faults(**NEVER)
    batch = {"batch_id": new_id("batch"), "batch_size": 2}
    first = member_id(batch["batch_id"], 0)
    result = one(shared, **batch).apply_async(task_id=first)
    remote_id = shared.wait_for_state(first, "generating").remote_id

    states = cancel(batch["batch_id"], waiting=True, app=shared.app)

    assert ["generating", "unknown"] == list(states.values())
    late = one(shared, **batch).apply_async(task_id=member_id(batch["batch_id"], 1))
    assert "cancelled" == late.get(timeout=30)["status"]
    shared.emulator.finish(remote_id)
    assert "succeeded" == result.get(timeout=30)["status"]
    assert 1 == shared.emulator.stats()["creates"]


def test_member_that_arrives_late_is_never_sent(shared: Fleet) -> None:
    """A member whose message arrives after its batch was cancelled is not paid."""
    shared.emulator.faults(**NEVER)
    batch = {"batch_id": new_id("batch"), "batch_size": 2}
    one(shared, **batch).apply_async(task_id=member_id(batch["batch_id"], 0))
    shared.wait_for_state(member_id(batch["batch_id"], 0), "generating")
    cancel(batch["batch_id"], app=shared.app)

    late = one(shared, **batch).apply_async(task_id=new_id())

    assert "cancelled" == late.get(timeout=30)["status"]
    assert 1 == shared.emulator.stats()["creates"]


def test_cancel_a_batch_that_no_worker_has_begun(shared: Fleet) -> None:
    """All its messages are still queued: its members end as cancelled, and nothing is sent."""
    batch_id = new_id("batch")

    assert {batch_id: "unknown"} == cancel(batch_id, in_advance=True, app=shared.app)
    result = generate_many(MODEL, [{"prompt": "a"}, {"prompt": "b"}], batch_id=batch_id).delay()

    assert ["cancelled"] * 2 == [member["status"] for member in result.get(timeout=30)]
    assert 0 == shared.emulator.stats()["creates"]
    assert 0 < shared.ledger.redis.ttl(f"{shared.ledger.prefix}batch:{batch_id}")


def test_revoke_of_a_parked_task(shared: Fleet) -> None:
    """Celery's own revoke ends a parked task as REVOKED, and its record as cancelled."""
    shared.emulator.faults(**NEVER)
    task_id, log = started(shared), Log(shared)

    shared.app.control.revoke(task_id)

    record = shared.wait_for_state(task_id, "delivered")
    assert "cancelled" == record.status
    log.wait_for(f"Discarding revoked task: mulequeue.generate[{task_id}]")
    result = shared.app.AsyncResult(task_id)
    wait_until(lambda: result.state == "REVOKED", what="REVOKED")


def test_revoke_by_a_stamp(make_fleet: Callable[..., Fleet]) -> None:
    """A task that waits is not submitted, and an outcome is delivered to nothing; both records end."""
    fleet = make_fleet(env={"MULEQUEUE_MAX_IN_FLIGHT": "1"}, min_seconds=1, max_seconds=1)
    fleet.worker()
    log = Log(fleet)
    stamps = {"stamped_headers": ["campaign"], "campaign": "spring"}
    one(fleet).apply_async(task_id="first", **stamps)
    fleet.wait_for_state("first", "generating")
    one(fleet).apply_async(task_id="second", **stamps)
    fleet.wait_for_state("second", "waiting")

    fleet.app.control.revoke_by_stamped_headers({"campaign": ["spring"]})

    ends = [fleet.wait_for_state(name, "delivered").status for name in ("first", "second")]
    assert ["succeeded", "cancelled"] == ends
    assert 1 == fleet.emulator.stats()["creates"]
    states = lambda: [fleet.app.AsyncResult(name).state for name in ("first", "second")]  # noqa: E731
    wait_until(lambda: states() == ["REVOKED"] * 2, what="REVOKED")
    assert 0 == fleet.redis.client.zcard(f"{fleet.ledger.prefix}due")
    assert "revoked by header" in log.text
