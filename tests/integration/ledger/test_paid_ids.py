"""A paid id is never dropped, whatever became of its record meanwhile."""

from __future__ import annotations

import pytest
from support.ledger_world import SUBMIT_LEASE, TTL, World

from mulequeue.ledger import Effects, outcome_of


@pytest.mark.parametrize("state", ["none", "waiting", "submitting"])
def test_an_id_makes_the_record_generate(world: World, state: str) -> None:
    """An id is taken up before the lease is over, and also when Redis lost the record."""
    world.put(state, epoch="e")

    what, wake = world.record_id(world.intent("t", epoch="e"), "r")

    assert ("generating", None) == (what, wake)
    assert "t" == world.ledger.queries.task_of("r")
    assert 3.0 == pytest.approx(world.due("t"))
    world.check()


def test_a_late_id_takes_back_a_verdict_that_nobody_heard(world: World) -> None:
    """An id that arrives after the lease made it submit_unknown goes on as if nothing had been."""
    intent = world.submit("t")
    (wake,) = world.claim(SUBMIT_LEASE + 1).wakes
    assert "submit_unknown" == world.fields("record:t")["status"]

    assert "generating" == world.record_id(intent, "r")[0]

    assert "busy" == world.deliver(wake).action
    assert {"submitting": 0, "generating": 1, "submit_unknown": 0} == world.ledger.queries.counts()
    assert 1 == world.slots()


@pytest.mark.parametrize("state", ["delivering", "delivered"])
def test_an_id_that_comes_after_the_delivery_is_attached(world: World, state: str) -> None:
    """When something was handed on already, the late id is kept for resume."""
    intent = world.submit("t")
    (wake,) = world.claim(SUBMIT_LEASE + 1).wakes
    assert "deliver" == world.deliver(wake).action
    if state == "delivered":
        world.ledger.generations.end_delivery("t", intent.epoch, ttl_seconds=TTL)

    assert ("attached", None) == world.record_id(intent, "r")

    record = world.ledger.queries.record("t")
    assert record is not None
    assert (state, "submit_unknown", "r") == (record.state, record.status, record.late_remote_id)
    assert "r" == outcome_of(record).remote_id


def test_a_user_s_cancel_wins_over_a_late_id(world: World) -> None:
    """A task cancelled while its POST was on its way ends cancelled, with the id in its outcome."""
    intent = world.submit("t")
    assert ("submitting", Effects()) == world.ledger.generations.cancel("t", ttl_seconds=TTL)

    what, wake = world.record_id(intent, "r")

    assert "cancelled" == what
    assert wake is not None
    record = world.deliver(wake).record
    assert record is not None
    assert ("cancelled", "r") == (record.status, record.remote_id)


def test_every_id_of_a_task_is_kept(world: World) -> None:
    """Ids of the same task from before and after Redis lost its record are all in it."""
    lost = [world.submit("t")]
    world.redis.flushall()
    lost.append(world.submit("t"))
    world.redis.flushall()
    world.generating("t", "r3")

    assert ["attached"] * 2 == [
        world.record_id(lost[0], "r1")[0],
        world.record_id(lost[1], "r2")[0],
    ]

    fields = world.fields("record:t")
    assert ("r3", "r2", "r1 ") == (
        fields["remote_id"],
        fields["late_remote_id"],
        fields["more_remote_ids"],
    )
    assert ["t"] * 3 == [world.ledger.queries.task_of(name) for name in ("r1", "r2", "r3")]


def test_an_id_from_another_life_does_not_pass_for_this_one_s(world: World) -> None:
    """An id of a POST from before Redis lost the record is kept, and the new POST goes on."""
    lost = world.submit("t")
    world.redis.flushall()
    world.submit("t")

    assert "attached" == world.record_id(lost, "r1")[0]

    assert ("submitting", "r1") == (
        world.state("t"),
        world.fields("record:t")["late_remote_id"],
    )
    world.check()


def test_a_second_id_does_not_replace_the_first(world: World) -> None:
    """Of a cancelled generation the id that it had stays its id; another one is attached."""
    intent = world.generating("t", "r1")
    world.ledger.generations.cancel("t", ttl_seconds=TTL)

    assert "attached" == world.record_id(intent, "r2")[0]

    fields = world.fields("record:t")
    assert ("r1", "r2") == (fields["remote_id"], fields["late_remote_id"])


def test_a_recreated_record_knows_its_input_and_its_batch(world: World) -> None:
    """A record that Redis lost comes back by its id with what a duplicate or a batch asks of it."""
    intent = world.submit("t", batch_id="b", batch_size=1)
    world.redis.flushall()

    world.record_id(intent, "r")

    assert world.ask(world.intent("t")).is_same_input
    world.check()
    assert "1" == world.fields("batch:b")["generating"]


def test_a_known_id_stays_as_short_lived_as_its_record(world: World) -> None:
    """Saying the id of a delivered generation again does not make its key live for ever."""
    world.put("delivered", epoch="e")

    assert "known" == world.record_id(world.intent("t", epoch="e"), "r")[0]

    assert 0 < world.redis.ttl(world.key("remote:r")) <= TTL
