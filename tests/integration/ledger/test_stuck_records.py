"""What the doctor finds in the ledger."""

from __future__ import annotations

import re
from typing import Any

import pytest
from celery import Celery
from support.ledger_world import SUBMIT_LEASE, TTL, World, marker_of

from mulequeue.ledger.record_summary import RecordSummary, record_summaries
from mulequeue.ops.health.stuck_records import (
    abandoned,
    examine_records,
    late_ids,
    newer,
    retried,
    submitting,
    unknown_keys,
)
from mulequeue.settings import Profile, Settings

COMMAND = "celery -A proj worker"


def seen(world: World) -> list[RecordSummary]:
    return list(record_summaries(world.ledger, 1000))


def found(world: World, key: str | None = "key") -> dict[str, Any]:
    """The findings by name."""
    app = Celery("proj", set_as_current=False)
    settings = Settings(api_key=key, base_url="https://api.example")
    findings = examine_records(app, settings, world.ledger, COMMAND)
    return {finding.id: finding for finding in findings}


@pytest.fixture
def today(world: World) -> World:
    """A world whose clock is Redis' own."""
    seconds, _ = world.redis.time()
    world.clock = float(seconds)
    return world


@pytest.mark.parametrize("state", ["waiting", "generating", "settled", "delivered", "tombstone"])
def test_a_record_on_its_way_is_not_stuck(today: World, state: str) -> None:
    """Whatever state it is in."""
    today.put(state)

    assert {"polls": "ok", "records": "ok"} == {
        name: finding.level for name, finding in found(today).items()
    }


def test_late_polls_are_told(today: World) -> None:
    """Something is due, and nobody looks at it."""
    today.clock -= 100
    today.generating("t")

    finding = found(today)["polls"]

    assert "error" == finding.level
    assert re.search(r"The first of 1 entries in the due index is \d+ s overdue", finding.text)
    assert f"  {COMMAND} -Q mulequeue.poll" in finding.fix


def test_a_submit_whose_worker_died_is_told(world: World) -> None:
    """Only once its lease is over; and no more once a sweep has settled it."""
    world.submit("t")
    assert submitting(seen(world), world.clock + SUBMIT_LEASE) is None

    finding = submitting(seen(world), world.clock + SUBMIT_LEASE + 11)

    assert finding is not None
    assert ("error", True) == (finding.level, "t." in finding.text)
    world.claim(SUBMIT_LEASE + 11)
    assert submitting(seen(world), world.clock + 60) is None


def test_a_generation_under_another_key_is_told(today: World) -> None:
    """With the line that gives it to today's key; a former fingerprint is known."""
    other = Profile(name="default", base_url="https://api.example", api_key="old")
    today.generating("t", profile=other)

    finding = found(today)["unknown-keys"]

    assert "warning" == finding.level
    assert f"  mulequeue_former_fingerprints = ['{other.fingerprint}']" in finding.fix
    assert unknown_keys(seen(today), {other.fingerprint}, "x") is None


def test_a_record_of_a_newer_mulequeue_is_told(world: World) -> None:
    """It is left alone until this side is upgraded."""
    world.generating("t")
    world.redis.hset(world.key("record:t"), "v", 99)

    finding = newer(seen(world))

    assert finding is not None
    assert "pip install --upgrade mulequeue" in finding.fix


def test_a_generation_handed_on_again_is_told(world: World) -> None:
    """Twice is a warning while it is on its way, and nothing once it is through."""
    wake = world.settled("t")
    assert "deliver" == world.deliver(wake).action
    assert retried(seen(world)) is None
    world.clock += 31
    assert "deliver" == world.deliver(wake).action

    finding = retried(seen(world))

    assert finding is not None
    assert ("warning", True) == (finding.level, "t." in finding.text)
    world.ledger.generations.end_delivery("t", marker_of(wake), ttl_seconds=TTL)
    assert retried(seen(world)) is None


def test_a_generation_that_was_given_up_is_told_until_it_is_resumed(world: World) -> None:
    """Abandoned, it waits for an operator: mulequeue resume."""
    wake = world.settled("t", remote_id="r")
    while world.deliver(wake).action != "abandoned":
        world.clock += 31

    finding = abandoned(seen(world), world.ledger.queries.task_of)

    assert finding is not None
    assert ("error", True) == (finding.level, "  mulequeue resume t" in finding.fix)
    world.record_id(world.intent("again"), "r")
    assert abandoned(seen(world), world.ledger.queries.task_of) is None


def test_a_late_id_is_told_until_it_is_resumed(world: World) -> None:
    """It is paid, and its task has said otherwise."""
    intent = world.submit("t")
    (wake,) = world.claim(SUBMIT_LEASE + 1).wakes
    world.deliver(wake)
    assert ("attached", None) == world.record_id(intent, "r")

    finding = late_ids(seen(world), world.ledger.queries.task_of)

    assert finding is not None
    assert ("warning", True) == (finding.level, "  mulequeue resume t" in finding.fix)
    world.record_id(world.intent("again"), "r")
    assert late_ids(seen(world), world.ledger.queries.task_of) is None


def test_a_large_ledger_is_looked_at_in_part_the_overdue_first(world: World) -> None:
    """What has something to do comes before what is history."""
    for number in range(30):
        wake = world.settled(f"old{number}")
        world.deliver(wake)
        world.ledger.generations.end_delivery(wake.task_id, marker_of(wake), ttl_seconds=TTL)
    world.generating("new")

    first = [item.task_id for item in record_summaries(world.ledger, 5)]

    assert 5 == len(first) == len(set(first))
    assert "new" == first[0]
