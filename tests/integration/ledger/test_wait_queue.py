"""Who goes first: lanes, one a batch, drained in turn."""

from __future__ import annotations

import pytest
from redis import Redis
from support.ledger_limits import keys, lane
from support.ledger_world import TTL, World, marker_of

from mulequeue.settings.profiles import Limits

VEO = "google/v1/veo-3.1-fast/generation"


@pytest.fixture
def limited(redis: Redis) -> World:
    """A fleet that may have one generation in flight, and has it."""
    world = World(redis, limit=1)
    world.generating("first")
    return world


def wait_in_line(world: World, batch: str, count: int, **given: object) -> None:
    """So many members of a batch come, and wait."""
    for index in range(count):
        world.clock += 0.001
        given |= {"batch_id": batch, "batch_size": count} if batch else {}
        verdict = world.ask(world.intent(f"{batch or 'single'}-{index:04}", **given))
        assert "parked" == verdict.action


def next_one(world: World, running: str = "first") -> str:
    """``running`` ends and another one is let go, up to its acceptance."""
    world.ledger.generations.settle(running, None, "succeeded", {})
    (wake,) = [it for it in world.claim().wakes if world.state(it.task_id) == "waiting"]
    intent = world.intent(wake.task_id, marker=marker_of(wake))
    assert "submit" == world.ask(intent).action
    world.record_id(intent, f"remote-{wake.task_id}")
    return wake.task_id


def let_go(world: World, count: int) -> list[str]:
    """So many, one after the other."""
    gone = ["first"]
    for _ in range(count):
        gone.append(next_one(world, gone[-1]))
    return gone[1:]


def test_inside_a_batch_the_first_that_came_goes_first(limited: World) -> None:
    """Members leave in the order in which they came, whatever their names."""
    for name in ("z", "a", "m"):
        limited.clock += 1
        limited.ask(limited.intent(name, batch_id="b", batch_size=3))

    assert ["z", "a", "m"] == let_go(limited, 3)


def test_a_small_batch_does_not_wait_for_a_large_one(limited: World) -> None:
    """With 1,000 waiting, all of a batch of ten that comes later are gone after twenty grants."""
    wait_in_line(limited, "large", 1000)
    wait_in_line(limited, "small", 10)

    gone = let_go(limited, 20)

    assert 10 == sum(name.startswith("small") for name in gone)
    limited.check()


def test_what_is_in_no_batch_goes_before_all_batches(limited: World) -> None:
    """A single generation is the very next one, though two batches wait."""
    wait_in_line(limited, "one", 20)
    wait_in_line(limited, "two", 20)
    wait_in_line(limited, "", 2)

    gone = let_go(limited, 4)

    assert ["single-0000", "single-0001"] == gone[:2]
    assert {"one", "two"} == {name[:3] for name in gone[2:]}


def test_a_batch_that_comes_again_and_again_gets_no_more_turns(limited: World) -> None:
    """Who leaves an empty lane and comes back stands behind those that had no turn meanwhile."""
    wait_in_line(limited, "a", 3)
    wait_in_line(limited, "b", 3)

    gone = ["first"]
    for index in range(6):
        gone.append(next_one(limited, gone[-1]))
        limited.ask(limited.intent(f"c-{index}", batch_id=f"c{index}", batch_size=1))

    batches = [name[0] for name in gone[1:]]
    assert ["a", "b"] == batches[:2]
    assert {"a", "b"} <= set(batches[2:])


def test_a_batch_that_is_still_being_enqueued_keeps_its_turn(limited: World) -> None:
    """Members that join those that wait do not send their batch to the end of the round."""
    wait_in_line(limited, "a", 5)
    wait_in_line(limited, "b", 5)

    gone = ["first"]
    for index in range(4):
        limited.ask(limited.intent(f"b-more-{index}", batch_id="b", batch_size=9))
        gone.append(next_one(limited, gone[-1]))

    assert ["a", "b", "a", "b"] == [name[0] for name in gone[1:]]


def test_a_newcomer_does_not_overtake(limited: World) -> None:
    """A slot that is free goes to who waits, not to who happens to come; a sweep wakes that one."""
    wait_in_line(limited, "", 1)
    limited.ledger.generations.settle("first", None, "succeeded", {})
    limited.clock += 1

    verdict = limited.ask(limited.intent("newcomer"))

    assert "parked" == verdict.action
    assert ["single-0000"] == [wake.task_id for wake in limited.claim().wakes]


def test_a_single_one_that_comes_to_a_free_slot_goes_at_once(limited: World) -> None:
    """Before batches that wait, without a sweep."""
    wait_in_line(limited, "b", 5)
    limited.ledger.generations.settle("first", None, "succeeded", {})

    assert "submit" == limited.ask(limited.intent("single")).action
    limited.check()


def test_one_that_lost_its_turn_stands_in_front(limited: World) -> None:
    """What the API refused as too many, or a pause sent back, is the next of its batch again."""
    wait_in_line(limited, "b", 3)
    limited.ledger.generations.settle("first", None, "succeeded", {})
    (wake,) = limited.claim().wakes
    intent = limited.intent(wake.task_id, marker=marker_of(wake))
    limited.ask(intent)

    limited.requeue(intent, 5)

    assert ["b-0000"] == [wake.task_id for wake in limited.claim(6).wakes]


def test_a_model_that_is_full_holds_up_nobody_else(redis: Redis) -> None:
    """Those of a model with limits of its own wait by themselves, and are woken by themselves."""
    world = World(redis, models={VEO: Limits(max_in_flight=1)})
    world.generating("veo-0", path=VEO)
    wait_in_line(world, "films", 3, path=VEO)

    assert "submit" == world.ask(world.intent("picture")).action
    assert 3 == len(lane(world, "films", VEO))
    world.ledger.generations.settle("veo-0", None, "succeeded", {})
    assert ["films-0000"] == [wake.task_id for wake in world.claim().wakes]
    world.check()


def test_new_limits_of_a_model_hold_for_those_that_wait(redis: Redis) -> None:
    """A worker that is started with other limits sorts those that wait anew, and grants by them."""
    world = World(redis, limit=2)
    world.generating("a", path=VEO)
    world.generating("b")
    wait_in_line(world, "films", 2, path=VEO)
    world.profile = World(redis, limit=3, models={VEO: Limits(max_in_flight=1)}).profile

    assert [] == world.claim(31).wakes
    assert ["films-0000", "films-0001"] == lane(world, "films", VEO)
    world.ledger.generations.settle("a", None, "succeeded", {})

    assert ["films-0000"] == [wake.task_id for wake in world.claim().wakes]
    world.check()


# -- what goes wrong -------------------------------------------------------------------------


def test_what_moved_on_is_passed_over(limited: World) -> None:
    """An entry whose record is gone, or was taken by an older worker, keeps nobody waiting."""
    wait_in_line(limited, "b", 3)
    limited.redis.delete(limited.key("record:b-0000"))
    limited.redis.hset(limited.key("record:b-0001"), "state", "settled")
    limited.ledger.generations.settle("first", None, "succeeded", {})

    assert ["b-0002"] == [wake.task_id for wake in limited.claim().wakes]


@pytest.mark.parametrize("lost", [("groups:", "ring:", "lane:"), ("lane:",), ("ring:",)])
def test_what_stands_in_no_lane_is_found(limited: World, lost: tuple[str, ...]) -> None:
    """A waiting record without a lane, of an older version or after a loss, comes back into one."""
    wait_in_line(limited, "b", 2)
    for start in lost:
        for key in keys(limited, start):
            limited.redis.delete(limited.key(key))
    limited.ledger.generations.settle("first", None, "succeeded", {})

    found = {wake.task_id for wake in limited.claim(2 * 3600).wakes}

    assert 1 == len(found - {"first"})
    limited.check()


def test_a_gate_that_was_dropped_from_the_due_index_comes_back(limited: World) -> None:
    """The sweep of an older version drops what it does not know; the next one of this version looks."""
    wait_in_line(limited, "b", 2)
    limited.redis.zrem(limited.key("due"), "gate:default")

    limited.claim()

    limited.check()


def test_a_gate_where_nobody_waits_is_not_looked_at_for_ever(limited: World) -> None:
    """An entry whose lanes are gone ends with the first look."""
    limited.redis.zadd(limited.key("due"), {"gate:default": limited.clock})

    assert [1, 0] == [limited.claim().examined for _ in range(2)]
    limited.check()


def test_a_cancelled_one_leaves_its_lane(limited: World) -> None:
    """And nobody is woken for it."""
    wait_in_line(limited, "b", 2)

    limited.ledger.generations.cancel("b-0000", ttl_seconds=TTL)

    assert ["b-0001"] == lane(limited, "b")
    limited.check()


def test_waiting_costs_nothing(limited: World) -> None:
    """While 2,000 wait a sweep looks at what runs, and twice a minute at the gate."""
    wait_in_line(limited, "b", 2000)

    assert [2] * 20 == [limited.claim(31).examined for _ in range(20)]


def test_a_profile_nobody_here_knows_is_left_to_others(limited: World) -> None:
    """A worker without the profile neither drains its lanes nor forgets them."""
    wait_in_line(limited, "b", 1)
    limited.ledger.generations.settle("first", None, "succeeded", {})

    limited.ledger.polling.claim([])
    limited.clock += 6

    assert ["b-0000"] == [wake.task_id for wake in limited.claim().wakes]
