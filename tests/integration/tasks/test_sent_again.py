"""A batch is one message: sent again it is the same batch, and the ledger repeats what is lost of it."""

from __future__ import annotations

import json

from support.fleet import Fleet
from support.generations import MODEL, QUICK
from support.queues import creates_of
from support.waiting import wait_until

from mulequeue.engine.worker_context import worker_context
from mulequeue.ledger import Effects
from mulequeue.tasks.canvases import generate_many

OWN_QUEUE = 'task_routes = {"mulequeue.generate": {"queue": "members"}}'


def test_a_member_that_the_broker_lost_is_published_again(make_fleet) -> None:
    """The members leave with a lease each: a lost one is made, and the others are paid once."""
    fleet = make_fleet(celeryconfig=OWN_QUEUE)
    redis, members = fleet.redis.client, creates_of("members")
    fleet.worker("-Q", "celery,mulequeue.poll,mulequeue.wake", *QUICK)
    inputs = [{"prompt": f"mule {number}", "n": 1} for number in range(3)]
    batch = generate_many(MODEL, inputs, batch_id="b", download=False, poll_interval=0.2)

    result = batch.apply_async()
    wait_until(lambda: redis.llen(members) == 3, what="the members")
    (lost,) = (
        m for m in redis.lrange(members, 0, -1) if json.loads(m)["headers"]["id"] == "b-000001"
    )
    redis.lrem(members, 1, lost)
    fleet.worker("-Q", "members", *QUICK)
    for task_id in ("b-000000", "b-000002"):
        fleet.wait_for_state(task_id, "delivered")
    _make_due(fleet, "transfer:b-000001")

    assert ["succeeded"] * 3 == [member["status"] for member in result.get(timeout=60)]
    assert 3 == fleet.emulator.stats()["creates"]


def _make_due(fleet: Fleet, name: str) -> None:
    """Let an entry be due now, as if no message of its queue had begun for a while."""
    now = fleet.ledger.queries.now()
    fleet.redis.client.delete(f"{fleet.ledger.prefix}transfers")
    fleet.redis.client.zadd(f"{fleet.ledger.prefix}due", {name: now})
    worker_context(fleet.app).carry_out(Effects(poll_by=now)).result()
