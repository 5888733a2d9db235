"""What the doctor finds in the ledger."""

from __future__ import annotations

import re
from typing import Any

import pytest
from celery import Celery
from support.ledger_world import SUBMIT_LEASE, TTL, World, marker_of

from mulequeue.ledger import Problem
from mulequeue.ledger.records import RecordSummary
from mulequeue.ops.health import Finding
from mulequeue.ops.health.records import RECORD_CHECKS, Known, examine_records, retries
from mulequeue.settings import Profile, Settings

SIGNATURE = {"task": "mulequeue.download", "args": [], "kwargs": {}, "options": {}}
COMMAND = "celery -A proj worker"


def seen(world: World) -> list[RecordSummary]:
    return list(world.ledger.queries.summaries(1000))


def check(world: World, name: str, **known: Any) -> Finding | None:
    """The finding of one check, if there is one."""
    app = Celery("proj", set_as_current=False)
    (one,) = (each for each in RECORD_CHECKS if each.id == name)
    values = {"now": world.clock, "keys": (), "former": (), "profiles": ("default",)} | known
    return one.finding(app, seen(world), Known(task_of=world.ledger.queries.task_of, **values))


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
    assert check(world, "submitting", now=world.clock + SUBMIT_LEASE) is None

    finding = check(world, "submitting", now=world.clock + SUBMIT_LEASE + 11)

    assert finding is not None
    assert ("error", True) == (finding.level, "t." in finding.text)
    world.claim(SUBMIT_LEASE + 11)
    assert check(world, "submitting", now=world.clock + 60) is None


def test_a_generation_under_another_key_is_told(today: World) -> None:
    """With the line that gives it to today's key; a former fingerprint is known."""
    other = Profile(name="default", base_url="https://api.example", api_key="old")
    today.generating("t", profile=other)

    finding = found(today)["unknown-keys"]

    assert "warning" == finding.level
    assert f"  mulequeue_former_fingerprints = ['{other.fingerprint}']" in finding.fix
    assert check(today, "unknown-keys", keys={other.fingerprint}) is None


def test_a_renamed_profile_is_told_where_no_key_finds_it(today: World) -> None:
    """A former key has no profile, and a waiting submission needs the name; else the key is enough."""
    renamed = Profile(name="old name", base_url="https://api.example", api_key="key")
    former = Profile(name="older name", base_url="https://api.example", api_key="old")
    today.generating("found", profile=renamed)
    assert "unknown-profiles" not in found(today)
    today.generating("lost", profile=former)
    today.requeue(today.submit("waits", profile=renamed))

    finding = check(
        today, "unknown-profiles", keys={renamed.fingerprint}, former={former.fingerprint}
    )

    assert finding is not None
    assert "2 generations" in finding.text
    assert "mulequeue_profiles = {'old name': …}" in finding.fix


def test_checks_without_an_answer_are_told(today: World) -> None:
    """From the third error in a row, with the last reason; a good answer ends it."""
    today.generating("t")

    def checked(errors: int, problem: str) -> None:
        token = today.claim(5).token
        today.ledger.polling.reschedule(token, [("t", today.clock, 1, errors, problem)])

    checked(2, Problem(today.clock, "error", "HTTP 500").dump())
    assert check(today, "failing-checks") is None
    checked(3, Problem(today.clock, "error", "HTTP 502").dump())
    finding = check(today, "failing-checks")
    assert finding is not None
    assert "3 checks: HTTP 502" in finding.text
    assert "  mulequeue status t" in finding.fix
    checked(0, "")
    assert check(today, "failing-checks") is None


def test_an_unknown_status_is_told(today: World) -> None:
    """With the word, as long as the API reports it."""
    today.generating("t")
    problem = Problem(today.clock, "status", "moderated").dump()
    today.ledger.polling.reschedule(today.claim(5).token, [("t", today.clock, 1, 0, problem)])

    finding = check(today, "unknown-statuses")

    assert finding is not None
    assert "(moderated)" in finding.text
    assert check(today, "failing-checks") is None


def test_a_record_of_a_newer_mulequeue_is_told(world: World) -> None:
    """It is left alone until this side is upgraded."""
    world.generating("t")
    world.redis.hset(world.key("record:t"), "v", 99)

    finding = check(world, "newer-records")

    assert finding is not None
    assert "pip install --upgrade mulequeue" in finding.fix


def test_a_generation_handed_on_again_is_told(world: World) -> None:
    """Twice is a warning while it is on its way, and nothing once it is through."""
    wake = world.settled("t")
    assert "deliver" == world.deliver(wake).action
    assert check(world, "retried") is None
    world.clock += 31
    assert "deliver" == world.deliver(wake).action

    finding = check(world, "retried")

    assert finding is not None
    assert ("warning", True) == (finding.level, "t." in finding.text)
    world.ledger.generations.end_delivery("t", marker_of(wake), ttl_seconds=TTL)
    assert check(world, "retried") is None


def test_a_generation_that_was_given_up_is_told_until_it_is_resumed(world: World) -> None:
    """Abandoned, it waits for an operator: mulequeue resume."""
    wake = world.settled("t", remote_id="r")
    while world.deliver(wake).action != "abandoned":
        world.clock += 31

    finding = check(world, "given-up")

    assert finding is not None
    assert ("error", True) == (finding.level, "  mulequeue resume t" in finding.fix)
    world.record_id(world.intent("again"), "r")
    assert check(world, "given-up") is None


def test_a_late_id_is_told_until_it_is_resumed(world: World) -> None:
    """It is paid, and its task has said otherwise."""
    intent = world.submit("t")
    (wake,) = world.claim(SUBMIT_LEASE + 1).wakes
    world.deliver(wake)
    assert ("attached", None) == world.record_id(intent, "r")

    finding = check(world, "late-ids")

    assert finding is not None
    assert ("warning", True) == (finding.level, "  mulequeue resume t" in finding.fix)
    world.record_id(world.intent("again"), "r")
    assert check(world, "late-ids") is None


def give_up(world: World, field: str, error: str | None) -> None:
    """A download or notification of the generation ``t`` ends."""
    leases, task_id = world.ledger.leases, f"{field}-{error}"
    leases.begin(task_id, "run", SIGNATURE)
    end = {"ttl_seconds": TTL, "generation": "t", "error_field": field}
    assert leases.end(task_id, "run", {"error": error}, **end)


def test_a_file_that_is_not_stored_is_told_until_it_is(world: World) -> None:
    """A download that was given up is reported until one succeeds, or the generation is resumed."""
    world.settled("t", remote_id="r")
    give_up(world, "file_error", "no file.")

    finding = check(world, "not-stored")

    assert finding is not None
    assert ("error", True) == (finding.level, "first reason: no file." in finding.text)
    assert "  mulequeue resume t" in finding.fix
    give_up(world, "file_error", None)
    assert check(world, "not-stored") is None
    give_up(world, "file_error", "no file again.")
    world.record_id(world.intent("again"), "r")
    assert check(world, "not-stored") is None


def test_a_notification_that_was_given_up_is_told(world: World) -> None:
    """It names the generation and the reason."""
    world.settled("t", remote_id="r")
    give_up(world, "notify_error", "me returned 500.")

    finding = check(world, "not-notified")

    assert finding is not None
    assert ("warning", True) == (finding.level, "me returned 500." in finding.text)


def test_a_task_of_each_that_was_given_up_is_told(world: World) -> None:
    """It names the generation and the reason."""
    world.settled("t", remote_id="r")
    give_up(world, "each_error", "ValueError: no row.")

    finding = check(world, "not-called")

    assert finding is not None
    assert ("warning", True) == (finding.level, "ValueError: no row." in finding.text)
    assert check(world, "not-notified") is None


def test_what_waits_for_another_attempt_is_told_with_its_reason(world: World) -> None:
    """Attempts that failed or were left to other workers are counted by reason, the others are not."""
    for number, cause in enumerate(["no secret", "500", "no secret", None]):
        world.ledger.leases.begin(f"d{number}", "run", SIGNATURE)
        if cause:
            world.ledger.leases.retry(f"d{number}", "run", 300, cause=cause)

    finding = retries(world.ledger.leases.waiting(100))

    assert finding is not None
    assert "another attempt: 3." in finding.text
    assert "(2): no secret" in finding.text
    assert retries({}) is None


def test_a_large_ledger_is_looked_at_in_part_the_overdue_first(world: World) -> None:
    """What has something to do comes before what is history."""
    for number in range(30):
        wake = world.settled(f"old{number}")
        world.deliver(wake)
        world.ledger.generations.end_delivery(wake.task_id, marker_of(wake), ttl_seconds=TTL)
    world.generating("new")

    first = [item.task_id for item in world.ledger.queries.summaries(5)]

    assert 5 == len(first) == len(set(first))
    assert "new" == first[0]
