"""How long generations lived, as the ledger keeps it for the cadence of those to come."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.ledger_world import World

from mulequeue.cli.status_fleet import learned_line, learned_schedules
from mulequeue.ledger import DurationSample, Intent
from mulequeue.settings import Settings

PATH = "alibaba/v1/wan2.6-t2i/generation"
IMAGE = {"kind": "image"}


def begin(world: World, name: str = "t", **given: Any) -> Intent:
    """A generation whose create request took a second."""
    intent = world.submit(name, **given)
    world.clock += 1
    world.record_id(intent, f"remote-{name}", first_poll_seconds=1.0)
    return intent


def check(world: World, seconds_later: float, *, errors: int = 0) -> None:
    """One that settles nothing, and what is due then is due at once again."""
    claim = world.claim(seconds_later)
    world.ledger.polling.reschedule(
        claim.token, [(due.task_id, world.clock, 1, errors) for due in claim.polls]
    )


def end(
    world: World, seconds_later: float, life: float | None = None, status: str = "succeeded"
) -> None:
    """The check that finds it over."""
    claim = world.claim(seconds_later)
    for due in claim.polls:
        assert world.ledger.generations.settle(
            due.task_id, claim.token, status, IMAGE, duration_seconds=life, polls=1
        ).wakes


def lives(world: World) -> list[DurationSample]:
    return world.ledger.queries.durations(PATH)


@pytest.mark.parametrize(
    ("life", "expected"),
    [
        (None, DurationSample(5, 9)),
        (7.5, DurationSample(7.5, 7.5)),
        (4.0, DurationSample(4, 4)),  # the clocks of two machines, or whole seconds
        (2.0, DurationSample(5, 9)),
        (9.5, DurationSample(5, 9)),
        (9.0, DurationSample(5, 9)),
    ],
    ids=["not-told", "told", "nearly", "before-it-was-seen", "after-its-end", "when-it-was-asked"],
)
def test_a_life_is_what_the_api_tells_if_that_fits_what_was_seen(
    world: World, life: float | None, expected: DurationSample
) -> None:
    """Else it ended between the last check that found it active and the one that did not."""
    begin(world)
    check(world, 2)
    check(world, 3)

    end(world, 4, life)

    assert [expected] == lives(world)


def test_a_check_that_told_nothing_saw_nothing(world: World) -> None:
    """An error between two checks leaves the end where it was: after the last active answer."""
    begin(world)
    check(world, 3)
    check(world, 3, errors=1)

    end(world, 3)

    assert [DurationSample(3, 9)] == lives(world)
    assert 3 == world.ledger.queries.record("t").polls


def test_a_webhook_comes_at_the_end(world: World) -> None:
    """What it tells of has just ended."""
    begin(world)
    check(world, 3)
    world.clock += 2

    world.ledger.generations.settle("t", None, "succeeded", IMAGE)

    assert [DurationSample(5, 5)] == lives(world)


def test_only_what_succeeded_under_our_eyes_is_kept(world: World) -> None:
    """Not what failed, was adopted, was over at once, or was looked at in an interval of the user's."""
    begin(world, "failed")
    end(world, 3, status="failed")
    world.record_id(world.intent("adopted"), "remote-adopted", first_poll_seconds=1.0)
    end(world, 3)
    intent = world.submit("at-once")
    world.clock += 1
    world.record_id(intent, "remote-at-once", claim_token="token")
    world.ledger.generations.settle("at-once", "token", "succeeded", IMAGE, duration_seconds=1.0)
    begin(world, "every-20-s", interval=20.0)
    end(world, 20)

    assert [] == lives(world)
    begin(world, "told", interval=20.0)
    end(world, 20, life=12.0)
    assert [DurationSample(12, 12)] == lives(world)


def test_the_latest_hundred_are_kept(world: World) -> None:
    """One after the other, the newest first."""
    for number in range(103):
        begin(world, str(number))
        end(world, 10 + number, life=5 + number / 10)

    found = lives(world)

    assert (100, 15.2, 5.3) == (len(found), found[0].low, found[-1].low)
    assert {1} == {life.weight for life in found}


def test_a_batch_is_kept_as_a_whole(world: World) -> None:
    """Many at once end shortest first; what ended together is one entry, and none is forgotten."""
    world.redis.rpush(world.key(f"lives:{PATH}"), "8.00 8.00 1 1.00 8.00")
    intents = [world.submit(str(number)) for number in range(300)]
    world.clock += 1
    for number, intent in enumerate(intents):
        world.record_id(intent, f"remote-{number}")
    for number in range(300):
        world.clock += 0.1
        world.ledger.generations.settle(str(number), None, "succeeded", IMAGE)

    found = lives(world)

    assert len(found) < 100
    assert 301 == sum(life.weight for life in found)
    assert min(life.low for life in found) < 1 < 29 < found[0].low


def test_an_entry_of_another_version_holds_nothing_up(world: World) -> None:
    """A generation is settled, whatever stands in the list."""
    world.redis.rpush(world.key(f"lives:{PATH}"), "v2:something else")
    begin(world)

    end(world, 9, life=7.0)

    assert "settled" == world.state("t")
    assert [DurationSample(7, 7)] == lives(world)


def test_a_record_of_an_older_version_is_counted_on(world: World) -> None:
    """Without the age of the last check the end is between its beginning and now."""
    begin(world)
    check(world, 3)
    world.redis.hdel(world.key("record:t"), "seen")

    end(world, 3)

    assert [DurationSample(0, 6)] == lives(world)


def test_an_operator_sees_what_was_learned(world: World) -> None:
    """The fleet's status names each model with how long its like take, and when they are looked at."""
    for number in range(25):
        begin(world, str(number))
        end(world, 15, life=12.0)
    settings = Settings()

    [learned] = learned_schedules(world.ledger, settings)

    line = "alibaba/wan2.6-t2i: 12 s (median of the last 25), first check after 12 s"
    assert line == learned_line(learned)
    assert 12.0 == learned["first_check_seconds"]
    assert [] == learned_schedules(world.ledger, replace(settings, learn_cadence=False))
