"""The timeline of generations that workers have handled."""

from __future__ import annotations

import json

from support.fleet import Fleet
from support.generations import new_id, one
from support.program import program_in
from support.raw_server import RawServer
from support.waiting import wait_until

from mulequeue.ledger.timeline import steps_of


def test_it_leads_from_the_call_to_the_notification(shared: Fleet, receiver: RawServer) -> None:
    """Every step is in the record, in the JSON of ``status``, and drawn by it."""
    task_id = new_id()
    notify = shared.task("mulequeue.notify", receiver.url.replace("127.0.0.1", "localhost"))
    chain = one(shared) | shared.task("mulequeue.download") | notify
    chain.tasks[0].set(task_id=task_id)
    chain.delay().get(timeout=30)

    def names() -> list[str]:
        return [step.name for step in steps_of(shared.ledger.queries.record(task_id))]

    wait_until(lambda: "notified" in names(), what="the end of the notification")
    shown = program_in(shared)("status", task_id)
    data = json.loads(program_in(shared)("status", task_id, "--json").stdout)["timeline"]
    expected = {"enqueued", "received", "submitted", "accepted", "settled", "woken"}
    assert expected | {"downloaded", "notified", "handed on"} == set(names())
    assert names() == [step["step"] for step in data]
    assert "by a status check" == next(step["detail"] for step in data if step["step"] == "settled")
    assert all(
        word in shown.stdout for word in ("generating  ", "downloading ", "notifying   ", "█")
    )
