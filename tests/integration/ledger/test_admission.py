"""When submissions may leave: the limit in flight, pauses, probes and ramps."""

from __future__ import annotations

import pytest
from support.ledger_world import SUBMIT_LEASE, TTL, World, marker_of

from mulequeue.ledger import Intent

GATE = "gate:default:alibaba/v1/wan2.6-t2i/generation"


@pytest.fixture
def limited(redis) -> World:  # type: ignore[no-untyped-def]
    """A fleet that may have two generations in flight."""
    return World(redis, limit=2)


def try_to_submit(world: World, count: int, start: int = 0) -> int:
    """How many may submit when so many new tasks come: of them, or of those that wait already."""
    before = world.slots()
    for index in range(count):
        world.ask(world.intent(f"new-{start + index}"))
    return world.slots() - before


def refused(world: World, seconds: float | None = None) -> Intent:
    """A create that the API refused as one too many."""
    intent = world.submit("refused")
    assert world.requeue(intent, seconds) is not None
    return intent


# -- the limit -------------------------------------------------------------------------------


def test_the_limit_is_exact(limited: World) -> None:
    """With a limit of two, two of five submit and three wait."""
    assert 2 == try_to_submit(limited, 5)

    assert {"submitting": 2, "waiting": 3} == limited.ledger.queries.counts()
    assert 2 == limited.slots()


def test_no_wake_is_sent_while_every_slot_is_taken(limited: World) -> None:
    """A waiting task is looked at again and again, and woken only when a slot is free."""
    limited.generating("a")
    second = limited.generating("b")
    limited.ask(limited.intent("c"))

    assert [] == limited.claim(2).wakes
    limited.ledger.generations.settle(second.task_id, None, "succeeded", {})

    assert ["c"] == [wake.task_id for wake in limited.claim(2).wakes]
    assert 2 == limited.slots()


def test_a_slot_is_reserved_for_the_one_that_is_woken(limited: World) -> None:
    """Between its wake and its delivery nobody else takes the slot of a waiting task."""
    limited.submit("a")
    limited.generating("b")
    limited.ask(limited.intent("c"))
    limited.ledger.generations.cancel("b", ttl_seconds=TTL)

    (wake,) = limited.claim(2).wakes

    assert 0 == try_to_submit(limited, 1)
    assert "submit" == limited.deliver(wake).action
    assert 2 == limited.slots()


def test_the_oldest_waits_least(limited: World) -> None:
    """Of those that wait for a slot the first that came is the first that goes."""
    limited.generating("a")
    limited.generating("b")
    for name in ("first", "second", "third"):
        limited.ask(limited.intent(name))
        limited.clock += 0.1
    for _ in range(5):
        limited.claim(1.5)

    limited.ledger.generations.settle("a", None, "succeeded", {})

    assert ["first"] == [wake.task_id for wake in limited.claim(2).wakes]


@pytest.mark.parametrize("end", ["settled", "failed", "not created", "died", "cancelled"])
def test_slots_never_leak(limited: World, end: str) -> None:
    """However a submission or generation ends, its slot is free again."""
    intent = limited.submit("t")
    if end == "settled":
        limited.record_id(intent, "r")
        limited.ledger.generations.settle("t", None, "succeeded", {})
    elif end == "failed":
        limited.ledger.generations.settle_submit(intent, "failed", None)
    elif end == "not created":
        limited.requeue(intent)
    elif end == "died":
        limited.claim(SUBMIT_LEASE + 1)
    else:
        limited.record_id(intent, "r")
        limited.ledger.generations.cancel("t", ttl_seconds=TTL)

    assert 0 == limited.slots()
    limited.check()


def test_an_unanswered_wake_of_a_waiting_task_is_repeated_ever_more_rarely(world: World) -> None:
    """When nobody takes the wakes they are repeated after 30, 60, 120 … seconds, up to an hour."""
    world.requeue(world.submit("t"), 1)
    (first,) = world.claim(2).wakes

    waits = []
    for _ in range(9):
        waits.append(world.due("t"))
        assert [first] == world.claim(waits[-1]).wakes

    assert [30, 60, 120, 240, 480, 960, 1920, 3600, 3600] == pytest.approx(waits)
    assert 1 == world.slots()


# -- pause, probe, ramp ----------------------------------------------------------------------


def test_a_refused_create_pauses_everybody(world: World) -> None:
    """After a 429 nobody of the profile submits until the time the API asked for is over."""
    refused(world, 20)

    assert 0 == try_to_submit(world, 3)
    world.clock += 19.9
    assert 0 == try_to_submit(world, 3, start=3)
    assert [] == world.claim().wakes
    world.check()


def test_one_probe_finds_out(world: World) -> None:
    """When the pause is over exactly one goes, and a second one when it says nothing for 20 s."""
    refused(world, 20)
    world.clock += 21

    assert 1 == try_to_submit(world, 5)
    world.clock += 19
    assert 0 == try_to_submit(world, 5, start=5)
    world.clock += 2
    assert 1 == try_to_submit(world, 5, start=10)


def test_the_probe_may_be_one_that_waited(world: World) -> None:
    """A sweep wakes one of the waiting as the probe, and it is let through when it arrives."""
    refused(world, 20)
    try_to_submit(world, 3)

    (wake,) = world.claim(22).wakes

    assert [] == world.claim(5).wakes
    assert "submit" == world.deliver(wake).action


@pytest.mark.parametrize("good", ["accepted", "refused for its content"])
def test_submissions_ramp_up_after_a_good_probe(world: World, good: str) -> None:
    """After a probe that was taken, or refused for its content: 2, 4, 8 … a second, then open."""
    refused(world, 20)
    (wake,) = world.claim(21).wakes
    probe = world.intent("refused", marker=marker_of(wake))
    assert "submit" == world.ask(probe).action
    if good == "accepted":
        world.record_id(probe, "r")
    else:
        world.ledger.generations.settle_submit(probe, "failed", None, is_answered=True)

    granted = []
    for second in range(4):
        granted.append(try_to_submit(world, 40, start=100 * second))
        world.clock += 1
    world.clock += 7

    assert [2, 4, 8, 16] == granted
    assert 300 + 4 * 40 - 30 == try_to_submit(world, 300, start=1000)
    assert not set(world.fields(GATE)) & {"until", "level", "probe", "ramp", "used"}


def test_those_that_wait_hear_of_a_good_probe_at_once(world: World) -> None:
    """They are not left until the probe would have been given up, a minute and a half later."""
    refused(world, 20)
    try_to_submit(world, 5)
    (wake,) = world.claim(21).wakes
    probe = world.intent(wake.task_id, marker=marker_of(wake))
    world.ask(probe)
    assert [] == world.claim(5).wakes

    world.record_id(probe, "r")

    assert 2 == len(world.claim().wakes)


def test_a_probe_that_is_cancelled_makes_way(world: World) -> None:
    """Cancelled before it left it finds nothing out: the next one that waits is the probe."""
    refused(world, 20)
    try_to_submit(world, 2)
    (wake,) = world.claim(21).wakes

    world.ledger.generations.cancel(wake.task_id, ttl_seconds=60)

    (following,) = world.claim().wakes
    assert wake.task_id != following.task_id
    assert "submit" == world.deliver(following).action


def test_who_is_no_probe_takes_none_along(world: World) -> None:
    """Cancelling another one that waits leaves the probe alone: still only one finds out."""
    refused(world, 20)
    try_to_submit(world, 3)
    (wake,) = world.claim(21).wakes
    assert "new-1" != wake.task_id

    world.ledger.generations.cancel("new-1", ttl_seconds=60)

    assert [] == world.claim(5).wakes


def test_a_bad_probe_pauses_for_longer(world: World) -> None:
    """Pauses double from the first to the longest as long as every probe is refused."""
    waits = []
    intent = world.submit("t")
    marker = intent.epoch
    for _ in range(9):
        again = world.requeue(intent)
        assert again is not None
        waits.append(again - world.clock)
        world.clock = again + 0.1
        intent = world.intent("t", marker=marker)
        assert "submit" == world.ask(intent).action

    assert [5, 10, 20, 40, 80, 160, 300, 300, 300] == pytest.approx(waits)


def test_many_refusals_of_one_moment_are_one(world: World) -> None:
    """Creates that were on their way together and are refused together lengthen the pause once."""
    intents = [world.submit(f"t{index}") for index in range(20)]

    for intent in intents:
        world.requeue(intent)

    assert "1" == world.fields(GATE)["level"]
    assert 5 == pytest.approx(float(world.fields(GATE)["until"]) - world.clock)


def test_an_answer_from_before_the_pause_proves_nothing(world: World) -> None:
    """A create that left before the refusal and is accepted after it does not stand for a probe."""
    early = world.submit("early")
    refused(world, 20)

    world.clock += 1
    world.record_id(early, "r")
    world.clock += 20

    assert 1 == try_to_submit(world, 5)


def test_adopting_proves_nothing(world: World) -> None:
    """An id that is only adopted was not created now, so it opens nothing."""
    refused(world, 20)
    world.clock += 21

    world.record_id(world.intent("adopted"), "r")

    assert 1 == try_to_submit(world, 5)


def test_a_reserved_slot_is_void_during_a_pause(world: World) -> None:
    """A task that was woken to submit and arrives in a pause waits again, without its slot."""
    early = world.submit("early")
    world.requeue(world.submit("t"), 1)
    (wake,) = world.claim(2).wakes
    world.requeue(early, 60)

    verdict = world.deliver(wake)

    assert ("parked", world.clock + 60) == (verdict.action, pytest.approx(verdict.effects.poll_by))
    assert 0 == world.slots()


def test_profiles_pause_by_themselves(world: World) -> None:
    """A pause of one profile holds nobody else up."""
    refused(world, 20)
    world.profile = type(world.profile)(name="other", base_url="https://b.example", api_key="k")

    try_to_submit(world, 3)

    assert 3 == world.slots("other")


def test_a_wake_that_lost_its_race_takes_no_slot_away(world: World) -> None:
    """A stale wake of a task that was submitted meanwhile changes no count."""
    world.requeue(world.submit("t"), 1)
    (wake,) = world.claim(2).wakes
    intent = world.intent("t", marker=marker_of(wake))
    assert "submit" == world.ask(intent).action

    assert "busy" == world.deliver(wake).action
    world.check()
