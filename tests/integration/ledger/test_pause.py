"""Submissions paused by hand."""

from __future__ import annotations

from support.ledger_world import TTL, World, marker_of

from mulequeue.ledger import Effects


def test_nothing_is_submitted_while_a_profile_is_held(world: World) -> None:
    """New ones wait, however long; when it is released all of them go, by one sweep."""
    assert world.ledger.limits.pause_submissions("default")
    for index in range(3):
        assert "parked" == world.ask(world.intent(f"t{index}")).action
    assert [] == world.claim(3600).wakes
    world.check()

    was_paused, effects = world.ledger.limits.resume_submissions("default")

    assert (True, world.clock) == (was_paused, effects.poll_by)
    assert 3 == len(world.claim().wakes)


def test_what_was_granted_before_waits_as_well(world: World) -> None:
    """A task that was woken to submit and arrives after the pause began is sent back to its lane."""
    world.requeue(world.submit("t"), 1)
    (wake,) = world.claim(2).wakes
    world.ledger.limits.pause_submissions("default")

    assert "parked" == world.deliver(wake).action
    assert 0 == world.slots()
    world.check()
    world.ledger.limits.resume_submissions("default")

    (again,) = world.claim().wakes
    assert "submit" == world.ask(world.intent("t", marker=marker_of(again))).action


def test_what_runs_goes_on(world: World) -> None:
    """Generations are checked, settled and handed on as ever."""
    world.generating("t")
    world.ledger.limits.pause_submissions("default")

    (due,) = world.claim(5).polls
    assert "t" == due.task_id
    (wake,) = world.ledger.generations.settle("t", None, "succeeded", {}).wakes
    assert "deliver" == world.deliver(wake).action


def test_it_is_said_since_when(world: World) -> None:
    """Held twice, it is held since the first time; released twice, the second says it was not."""
    since = world.clock
    assert world.ledger.limits.pause_submissions("default")
    world.clock += 60
    assert not world.ledger.limits.pause_submissions("default")

    (status,) = world.ledger.limits.submission_statuses(["default"])
    assert since == status.paused_since

    assert world.ledger.limits.resume_submissions("default")[0]
    assert (False, Effects()) == world.ledger.limits.resume_submissions("default")


def test_an_idle_pause_costs_nothing(world: World) -> None:
    """With nobody waiting nothing is due; with many, one look in half a minute."""
    world.ledger.limits.pause_submissions("default")
    assert (0, None) == world.ledger.queries.overdue()

    for index in range(50):
        world.ask(world.intent(f"t{index}"))

    assert [1] * 5 == [world.claim(31).examined for _ in range(5)]


def test_a_held_profile_can_be_cancelled(world: World) -> None:
    """What waits ends, and nothing of the pause is left behind but the pause."""
    world.ledger.limits.pause_submissions("default")
    world.ask(world.intent("t"))

    world.ledger.generations.cancel("t", ttl_seconds=TTL)

    world.check()
    assert "held" in world.fields("gate:default")


def test_gates_tell_how_profiles_stand(world: World) -> None:
    """In flight, sent today, paused by the API, waited at; of one nobody used, nothing."""
    world.generating("a")
    world.requeue(world.submit("b"), 60)

    default, other = world.ledger.limits.submission_statuses(["default", "other"])

    assert (1, True) == (default.in_flight, default.has_waiting)
    assert (0, 0, None, None, False) == (
        other.in_flight,
        other.today,
        other.paused_since,
        other.paused_until,
        other.has_waiting,
    )
