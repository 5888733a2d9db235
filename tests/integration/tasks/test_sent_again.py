"""A batch of which the broker lost a message is sent again."""

from __future__ import annotations

import json

from support.fleet import Fleet
from support.generations import MODEL, QUICK

from mulequeue.tasks.canvases import generate_many


def test_a_batch_sent_again_is_the_same_chord(fleet: Fleet) -> None:
    """A lost member is made when the batch is enqueued again; its body runs, with all members."""
    fleet.app.set_current()
    inputs = [{"prompt": f"mule {number}"} for number in range(3)]
    batch = generate_many(MODEL, inputs, batch_id="b", download=False, poll_interval=0.2)
    batch.clone().apply_async(ignore_result=True)
    redis = fleet.redis.client
    (lost,) = (
        m for m in redis.lrange("celery", 0, -1) if json.loads(m)["headers"]["id"] == "b-000001"
    )
    redis.lrem("celery", 1, lost)
    fleet.worker(*QUICK)
    for task_id in ("b-000000", "b-000002"):
        fleet.wait_for_state(task_id, "delivered")

    members = batch.clone().apply_async().get(timeout=30)

    assert ["succeeded"] * 3 == [member["status"] for member in members]
    assert 3 == fleet.emulator.stats()["creates"]
