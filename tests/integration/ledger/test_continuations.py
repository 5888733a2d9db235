"""Several canvases with one task id: one generation, and each canvas goes on."""

from __future__ import annotations

import pytest
from support.ledger_world import TTL, World, marker_of, wake_of

from mulequeue.ledger import Wake

MOST = 100


def arrive(world: World, canvas: str, **given: object) -> tuple[str, Wake | None]:
    """A message of the user reaches a worker; the verdict, and the wake that it publishes."""
    verdict = world.ask(world.intent("t", tail=canvas, **given))
    return verdict.action, wake_of(verdict.effects)


def settle(world: World, status: str = "succeeded") -> Wake:
    """The generation ends; the wake of the first canvas."""
    (wake,) = world.ledger.generations.settle("t", None, status, {"kind": "image"}).wakes
    return wake


def other_wakes(world: World, *, seconds_later: float = 0.0) -> list[Wake]:
    """What the next sweep publishes besides the wake of the first canvas."""
    first = world.fields("record:t")["epoch"]
    return [it for it in world.claim(seconds_later).wakes if marker_of(it) != first]


def ttl(world: World, name: str) -> int:
    return world.redis.ttl(world.key(name))


@pytest.mark.parametrize("state", ["waiting", "submitting", "generating"])
def test_each_canvas_is_woken_when_the_generation_ends(world: World, state: str) -> None:
    """A canvas that arrives while the generation runs is parked, and delivered like the first one."""
    world.put(state, tail="one")
    assert ("attached", None) == arrive(world, "two")
    assert ("attached", None) == arrive(world, "three")
    world.ledger.generations.cancel("t", ttl_seconds=TTL)
    if state == "submitting":
        world.claim(1000)

    wakes = other_wakes(world)

    verdicts = [world.deliver(wake) for wake in wakes]
    assert ["deliver", "deliver"] == [verdict.action for verdict in verdicts]
    assert {"cancelled"} == {verdict.record.status for verdict in verdicts}
    assert all(world.end("t", marker_of(wake)) for wake in wakes)
    assert not world.end("t", marker_of(wakes[0]))
    assert [] == other_wakes(world, seconds_later=4000)


def test_settling_asks_for_a_sweep_at_once(world: World) -> None:
    """The wakes of further canvases do not wait for the next status check."""
    world.generating("t", "r", tail="one")
    arrive(world, "two")

    effects = world.ledger.generations.settle("t", None, "succeeded", {})

    assert world.clock == effects.poll_by


@pytest.mark.parametrize("state", ["settled", "delivering", "delivered"])
def test_canvas_after_the_end_is_woken_at_once(world: World, state: str) -> None:
    """A canvas that arrives when there is an outcome gets it at once; a lost wake is repeated."""
    world.put(state, tail="one")

    action, wake = arrive(world, "two")

    assert "wake" == action
    assert 30 == world.due(f"transfer:{marker_of(wake)}:t")
    (again,) = other_wakes(world, seconds_later=31)
    assert marker_of(wake) == marker_of(again)
    assert "succeeded" == world.deliver(again).record.status


def test_redelivery_of_any_canvas_is_ignored(world: World) -> None:
    """A message with the same tasks behind it changes nothing, before and after it was delivered."""
    world.generating("t", "r", tail="one")
    arrive(world, "two")

    def redeliveries_change_nothing() -> None:
        before = world.everything()
        for canvas in ("one", "two", ""):
            assert ("duplicate", None) == arrive(world, canvas)
        assert before == world.everything()

    redeliveries_change_nothing()
    first = settle(world)
    (second,) = other_wakes(world)
    redeliveries_change_nothing()
    for wake in (first, second):
        assert "deliver" == world.deliver(wake).action
        assert world.end("t", marker_of(wake))
    redeliveries_change_nothing()


def test_canvas_behind_a_plain_call_is_parked(world: World) -> None:
    """The first call may have nothing behind it."""
    world.generating("t", "r", tail="")

    assert ("attached", None) == arrive(world, "one")
    assert ("duplicate", None) == arrive(world, "")


def test_record_of_an_earlier_version_keeps_its_first_canvas(world: World) -> None:
    """Version 0.1.0 did not record what follows, so a message may be a redelivery: it is ignored."""
    world.generating("t", "r")

    assert ("duplicate", None) == arrive(world, "two")


def test_another_input_is_never_parked(world: World) -> None:
    """A canvas with another input under the same id is a mistake of the caller."""
    world.generating("t", "r", tail="one")
    before = world.everything()

    verdict = world.ask(world.intent("t", tail="two", digest="another"))

    assert ("duplicate", False) == (verdict.action, verdict.is_same_input)
    assert before == world.everything()


def test_lost_answer_is_repeated(world: World) -> None:
    """A worker that asks twice gets the same verdict, and one canvas is parked."""
    for state, action in (("generating", "attached"), ("delivered", "wake")):
        world.redis.flushall()
        world.put(state, tail="one")
        intent = world.intent("t", tail="two")

        first, second = world.ask(intent), world.ask(intent)

        assert action == first.action == second.action
        assert first == second
        assert {"two": intent.epoch} == world.fields("continuations:t")


def test_worker_that_dies_with_the_outcome_is_replaced(world: World) -> None:
    """The lease of a delivery lapses, and a sweep wakes the canvas again."""
    world.put("delivered", tail="one")
    _, wake = arrive(world, "two")
    assert "deliver" == world.deliver(wake).action
    assert "busy" == world.deliver(wake).action

    (again,) = other_wakes(world, seconds_later=31)

    assert "deliver" == world.deliver(again).action
    assert world.end("t", marker_of(again))
    assert "stale" == world.deliver(wake).action


def test_canvas_that_cannot_be_dispatched_fails_alone(world: World) -> None:
    """The fifth delivery of one canvas is a failure, the eleventh is the end; the record stays."""
    world.put("delivered", tail="one")
    _, wake = arrive(world, "two")

    found = []
    for _ in range(11):
        found.append(world.deliver(wake))
        world.clock += 31

    assert ["deliver"] * 10 + ["abandoned"] == [verdict.action for verdict in found]
    assert [False] * 4 + [True] * 6 == [it.record.poisoned for it in found[:10]]
    assert {"succeeded"} == {it.record.status for it in found[:4]}
    assert {"failed"} == {it.record.status for it in found[4:10]}
    record = world.ledger.queries.record("t")
    assert ("delivered", "succeeded", False) == (record.state, record.status, record.poisoned)
    assert [] == other_wakes(world, seconds_later=4000)


def test_record_is_kept_until_every_canvas_has_it(world: World) -> None:
    """The time to live begins when the last canvas was delivered."""
    wake = world.settled("t", tail="one")
    _, other = arrive(world, "two")
    world.deliver(wake)
    names = ("record:t", "outcome:t", "continuations:t", "remote:remote-t")

    world.end("t", marker_of(wake))
    assert [-1] * 4 == [ttl(world, name) for name in names]
    world.deliver(other)
    world.end("t", marker_of(other))

    assert [TTL] * 4 == [ttl(world, name) for name in names]
    assert "wake" == arrive(world, "three")[0]
    assert [-1] * 3 == [ttl(world, name) for name in names[:3]]


def test_wake_before_the_end_is_ignored(world: World) -> None:
    """A canvas whose generation runs again (an id arrived late) waits for its outcome."""
    intent = world.submit("t", tail="one")
    arrive(world, "two")
    world.claim(1000)
    (wake,) = other_wakes(world, seconds_later=31)
    assert "generating" == world.record_id(intent, "r")[0]

    assert "busy" == world.deliver(wake).action

    settle(world)
    (again,) = other_wakes(world)
    assert "succeeded" == world.deliver(again).record.status


def test_wake_of_a_lost_record_ends(world: World) -> None:
    """If Redis lost the record, its canvas is woken no more."""
    world.put("delivered", tail="one")
    _, wake = arrive(world, "two")
    world.redis.delete(world.key("record:t"))

    assert "stale" == world.deliver(wake).action
    assert world.due(f"transfer:{marker_of(wake)}:t") is None
    assert {} == world.fields(f"transfer:{marker_of(wake)}:t")


def test_number_of_canvases_is_bounded(world: World) -> None:
    """The canvas beyond the bound is refused; those before it are kept."""
    world.generating("t", "r", tail="one")
    for number in range(MOST):
        assert "attached" == arrive(world, f"canvas {number}")[0]
    before = world.everything()

    assert ("full", None) == arrive(world, "one too many")

    assert before == world.everything()
    settle(world)
    assert MOST == len(other_wakes(world))


def test_message_of_another_canvas_is_expected_until_it_arrives(world: World) -> None:
    """A worker's message of a second canvas is repeated if the broker loses it, and then no more."""
    expect = world.ledger.leases.expect
    signature = world.intent("t").signature
    world.generating("t", "r", tail="one")

    assert not expect("t", "mulequeue.generate_from", signature, tail="one")
    assert not expect("t", "mulequeue.generate_from", signature)
    assert expect("t", "mulequeue.generate_from", signature, tail="two")
    assert ["t"] == [wake.task_id for wake in world.claim(26).wakes if wake.task_id == "t"]
    assert ("attached", None) == arrive(world, "two")

    assert world.due("transfer:t") is None
    assert not expect("t", "mulequeue.generate_from", signature, tail="two")


def test_result_that_cannot_be_stored_is_repeated_without_the_tasks(world: World) -> None:
    """A canvas whose tasks were published is delivered again only to store its result."""
    world.put("delivered", tail="one")
    _, wake = arrive(world, "two")
    generations, marker = world.ledger.generations, marker_of(wake)
    assert "deliver" == world.deliver(wake).action

    generations.record_dispatch("t", marker, "two")
    generations.retry_delivery("t", marker, seconds=300)

    assert [] == other_wakes(world, seconds_later=299)
    for _ in range(12):
        (again,) = other_wakes(world, seconds_later=4000)
        verdict = world.deliver(again)
        assert ("deliver", "two") == (verdict.action, verdict.record.dispatched)
        assert ("succeeded", False) == (verdict.record.status, verdict.record.poisoned)
    assert world.end("t", marker)


def test_failure_of_one_canvas_keeps_the_reason_of_the_generation(world: World) -> None:
    """A generation that did not succeed stays what it is, however often it is delivered."""
    world.generating("t", "r", tail="one")
    world.end("t", marker_of(settle(world, "timed_out")))
    _, wake = arrive(world, "two")

    for _ in range(5):
        verdict = world.deliver(wake)
        world.clock += 31

    assert ("timed_out", False) == (verdict.record.status, verdict.record.poisoned)


def test_the_delivery_to_another_canvas_is_renewed_while_it_publishes(world: World) -> None:
    """Its claim lasts as long as its run renews it, and no longer."""
    world.put("generating", tail="one")
    arrive(world, "two")
    settle(world)
    (wake,) = other_wakes(world)
    run = world.intent("t", marker=marker_of(wake))
    assert "deliver" == world.ask(run).action

    for _ in range(5):
        world.clock += 25
        assert world.ledger.generations.keep_delivery("t", run.epoch, run.run)
        assert "busy" == world.deliver(wake).action

    assert not world.ledger.generations.keep_delivery("t", run.epoch, "another run")
    assert 1 == len(other_wakes(world, seconds_later=31))
