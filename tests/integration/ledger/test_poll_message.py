"""One poll message, one sweep, and a watchdog: in whatever order they come."""

from __future__ import annotations

from itertools import pairwise

import pytest
from redis import Redis
from support.ledger_world import World

from mulequeue.ledger import PollMessage
from mulequeue.ledger.keyspace import Keyspace


def scheduled(world: World, seconds: float) -> PollMessage:
    """The message that is published for something due in so many seconds."""
    message = world.ledger.polling.schedule(world.clock + seconds)
    assert message is not None
    return message


def test_the_first_parked_task_sends_the_message(world: World) -> None:
    """When nothing is on its way, something parked publishes a message for when it is due."""
    message = scheduled(world, 20)

    assert (20, world.clock + 20) == pytest.approx((message.countdown, message.due))


def test_a_later_one_needs_no_message(world: World) -> None:
    """A message that comes in time covers everything that is due later."""
    scheduled(world, 20)

    assert world.ledger.polling.schedule(world.clock + 30) is None


def test_an_earlier_one_replaces_the_message(world: World) -> None:
    """Something due earlier gets a message of its own, and the old one drops itself."""
    late = scheduled(world, 20)
    early = scheduled(world, 5)

    assert not world.ledger.polling.begin_sweep(late.token)
    assert world.ledger.polling.begin_sweep(early.token)


def test_no_countdown_is_long(world: World) -> None:
    """No message waits longer than a minute, whatever it is for, and none is in the past."""
    assert 60 == pytest.approx(scheduled(world, 5000).countdown)
    assert 0 == pytest.approx(scheduled(world, -50).countdown)


def test_a_message_works_once(world: World) -> None:
    """A poll message that the broker delivers again starts no second sweep, and later none at all."""
    world.generating("t")
    message = scheduled(world, 3)
    assert world.ledger.polling.begin_sweep(message.token)

    assert not world.ledger.polling.begin_sweep(message.token)
    world.ledger.polling.end_sweep(message.token, gap_seconds=0.5)
    assert not world.ledger.polling.begin_sweep(message.token)


def test_a_running_sweep_covers_what_is_parked(world: World) -> None:
    """While a sweep runs nobody else publishes: its end looks at everything that is due."""
    world.generating("t")
    message = scheduled(world, 3)
    world.ledger.polling.begin_sweep(message.token)

    assert world.ledger.polling.schedule(world.clock + 1) is None
    following = world.ledger.polling.end_sweep(message.token, gap_seconds=0.5)

    assert following is not None
    assert 3 == pytest.approx(following.countdown)


def test_sweeps_keep_a_distance(world: World) -> None:
    """What is overdue at the end of a sweep is taken up after the gap, not at once."""
    world.generating("t")
    message = scheduled(world, 3)
    world.clock += 10
    world.ledger.polling.begin_sweep(message.token)

    following = world.ledger.polling.end_sweep(message.token, gap_seconds=0.5)

    assert following is not None
    assert 0.5 == pytest.approx(following.countdown)


@pytest.mark.parametrize(("seconds", "countdown"), [(0.7, 0.301), (0.95, 0.1), (2.0, 0.1)])
def test_who_waits_at_a_gate_waits_for_no_gap(
    redis: Redis, seconds: float, countdown: float
) -> None:
    """A place that is free soon after a sweep is given away then; only a tenth lies between."""
    world = World(redis, submissions_per_second=1)
    world.generating("t")
    world.ask(world.intent("waits"))
    world.clock += seconds
    message = scheduled(world, 0)
    world.ledger.polling.begin_sweep(message.token)

    following = world.ledger.polling.end_sweep(message.token, gap_seconds=0.5, profiles=["default"])

    assert following is not None
    assert countdown == pytest.approx(following.countdown)


def test_nothing_in_flight_no_message(world: World) -> None:
    """When nothing is due some day, the end of a sweep is the end of the loop."""
    message = scheduled(world, 3)
    world.ledger.polling.begin_sweep(message.token)

    assert world.ledger.polling.end_sweep(message.token, gap_seconds=0.5) is None
    assert world.ledger.polling.check_overdue() is None


def test_only_the_holder_renews_and_ends(world: World) -> None:
    """A sweep that another one followed can neither renew the lease nor end it."""
    world.generating("t")
    first = scheduled(world, 0)
    world.ledger.polling.begin_sweep(first.token)
    world.clock += 6
    second = scheduled(world, 0)
    assert world.ledger.polling.begin_sweep(second.token)

    assert not world.ledger.polling.renew_sweep(first.token)
    assert world.ledger.polling.end_sweep(first.token, gap_seconds=0.5) is None
    assert world.ledger.polling.renew_sweep(second.token)


def test_a_renewed_lease_lasts(world: World) -> None:
    """A sweep that renews its lease keeps the loop to itself."""
    message = scheduled(world, 0)
    world.ledger.polling.begin_sweep(message.token)

    for _ in range(4):
        world.clock += 4
        assert world.ledger.polling.renew_sweep(message.token)
        assert world.ledger.polling.schedule(world.clock) is None


def test_a_paused_sweep_does_not_shut_the_next_one_out_for_ever(world: World) -> None:
    """A lease renewed after it lapsed may drop one valid message; the watchdog sends another."""
    world.generating("t")
    first = scheduled(world, 0)
    world.ledger.polling.begin_sweep(first.token)
    world.clock += 6
    second = scheduled(world, 0)
    assert world.ledger.polling.renew_sweep(first.token)
    assert not world.ledger.polling.begin_sweep(second.token)

    world.clock += 12

    assert world.ledger.polling.check_overdue() is not None


# -- the watchdog ------------------------------------------------------------------------------


def test_a_lost_message_is_replaced(world: World) -> None:
    """Three seconds after something is due and nobody came, any worker's look sends a message."""
    world.generating("t")
    scheduled(world, 3)

    world.clock += 5.9
    assert world.ledger.polling.check_overdue() is None
    world.clock += 0.2
    message = world.ledger.polling.check_overdue()

    assert message is not None
    assert 0 == message.countdown
    assert world.ledger.polling.begin_sweep(message.token)


def test_a_dead_sweep_is_replaced(world: World) -> None:
    """A worker killed in its sweep is followed by another within its lease and three seconds."""
    world.generating("t")
    message = scheduled(world, 3)
    world.clock += 3
    world.ledger.polling.begin_sweep(message.token)

    world.clock += 4.9
    assert world.ledger.polling.check_overdue() is None
    world.clock += 0.2

    assert world.ledger.polling.check_overdue() is not None


def test_many_watchdogs_send_one_message(world: World) -> None:
    """Whichever worker looks first sends it; the others see that it is on its way."""
    world.generating("t")
    world.clock += 10

    assert 1 == sum(world.ledger.polling.check_overdue() is not None for _ in range(20))


def test_a_jammed_fleet_collects_few_messages(world: World) -> None:
    """While no worker has a free slot, ten minutes of looking leave two dozen messages, not hundreds."""
    world.generating("t")
    sent = []
    for _ in range(300):
        world.clock += 2
        if world.ledger.polling.check_overdue() is not None:
            sent.append(world.clock)

    gaps = [later - earlier for earlier, later in pairwise(sent)]
    assert sorted(gaps) == gaps
    assert 30 <= gaps[-1] <= 32
    assert len(sent) < 26


def test_a_started_sweep_makes_the_watchdog_quick_again(world: World) -> None:
    """After a jam was over, the next lost message is noticed as fast as the first."""
    world.generating("t")
    sent = []
    for _ in range(100):
        world.clock += 2
        sent += [
            message for message in [world.ledger.polling.check_overdue()] if message is not None
        ]
    assert world.ledger.polling.begin_sweep(sent[-1].token)
    world.ledger.polling.end_sweep(sent[-1].token, gap_seconds=0.5)

    world.clock += 3.6

    assert world.ledger.polling.check_overdue() is not None


# -- lost answers --------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["schedule", "end", "watch"])
def test_a_call_whose_answer_was_lost_gets_the_same_message(world: World, call: str) -> None:
    """A repeated command publishes the message that the first one announced."""
    world.generating("t")
    message = scheduled(world, 3)
    run = Keyspace(world.redis, "test", clock=lambda: world.clock).run
    if call == "end":
        world.ledger.polling.begin_sweep(message.token)
        arguments: dict[str, object] = {
            "what": "end",
            "token": message.token,
            "next_token": "fresh",
            "gap": 0.5,
        }
    elif call == "watch":
        world.clock += 10
        arguments = {"what": "watch", "next_token": "fresh"}
    else:
        arguments = {"what": "schedule", "next_token": "fresh", "at": world.clock + 1}

    first, second = run("poll", **arguments), run("poll", **arguments)

    assert b"fresh" == first[0]
    assert first == second
