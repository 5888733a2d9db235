"""A record whose delivery never works comes to an end."""

from __future__ import annotations

from support.fleet import Fleet
from support.generations import Log, one

from mulequeue.engine.worker_context import worker_context
from mulequeue.ledger import Effects


def deliver_again(fleet: Fleet, task_id: str) -> None:
    """Let what is due in half a minute be due now."""
    now = fleet.ledger.queries.now()
    fleet.redis.client.zadd(f"{fleet.ledger.prefix}due", {task_id: now})
    worker_context(fleet.app).carry_out(Effects(poll_by=now)).result()


def test_delivery_that_never_works_ends_as_failed(shared: Fleet) -> None:
    """When the next step cannot be published five times, the generation fails with that reason."""
    log = Log(shared)
    unpublishable = shared.task("user.collect").set(serializer="no-such-serializer")
    result = (one(shared) | unpublishable).delay().parent

    for deliveries in range(1, 5):
        log.wait_for("raised unexpected: SerializerNotInstalled", times=deliveries)
        assert deliveries == shared.ledger.queries.record(result.id).deliveries
        assert not shared.ledger.queries.record(result.id).poisoned
        deliver_again(shared, result.id)

    record = shared.wait_for_state(result.id, "delivered")
    assert ("failed", True, 5) == (record.status, record.poisoned, record.deliveries)
    assert record.answer["assets"]
    reason = shared.app.AsyncResult(result.id).info
    assert "DeliveryFailed" == reason.reason
    assert "could not be started" in str(reason)
