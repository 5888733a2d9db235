"""The moments that the scripts append to a record."""

from __future__ import annotations

from redis import Redis
from support.ledger_world import TTL, World, marker_of

from mulequeue.ledger.timeline import Step, steps_of
from mulequeue.outcome import File


def steps(world: World, task_id: str) -> list[Step]:
    record = world.ledger.queries.record(task_id)
    assert record is not None
    return steps_of(record)


def waits(world: World, task_id: str) -> list[tuple[str, float]]:
    """Why a generation waited, and when that began."""
    start = steps(world, task_id)[0].at
    found = [step for step in steps(world, task_id) if step.name == "waiting"]
    return [(step.detail, step.at - start) for step in found]


def test_a_wait_names_each_of_its_reasons_once(world: World) -> None:
    """Held by hand at first; then the API refused it twice."""
    world.ledger.limits.pause_submissions("default")
    world.ask(world.intent("t"))
    world.clock += 5
    world.ledger.limits.resume_submissions("default")
    for _ in range(2):
        (wake,) = world.claim(10).wakes
        again = world.intent("t", marker=marker_of(wake))
        assert "submit" == world.ask(again).action
        world.requeue(again, 2)

    refused = "the API refused the create request for now, or it was not sent"
    assert [("an operator had paused submissions", 0.0), (refused, 15.0)] == waits(world, "t")
    assert 2 == world.ledger.queries.record("t").requeues


def test_a_wait_for_a_place_is_of_the_limits(redis: Redis) -> None:
    """Another generation has the only place of the profile."""
    world = World(redis, limit=1)
    world.generating("first")

    world.ask(world.intent("second"))

    assert [("the limits of its profile or model were reached", 0.0)] == waits(world, "second")


def test_a_pause_and_a_worker_that_cannot_submit_are_told_apart(world: World) -> None:
    """The one concerns a model of the API, the other this worker alone."""
    world.requeue(world.submit("refused"), 60)
    world.ask(world.intent("behind"))
    world.ask(world.intent("elsewhere", fault="no key"))

    assert ["submissions were paused"] == [detail for detail, _ in waits(world, "behind")]
    assert ["its worker could not submit"] == [detail for detail, _ in waits(world, "elsewhere")]


def test_the_end_names_what_reported_it(world: World) -> None:
    """A webhook, a status check, or the answer to the create request."""
    world.settled("webhook")
    world.generating("check")
    claim = world.claim(5)
    world.ledger.generations.settle("check", claim.token, "failed", {}, polls=1)
    world.ledger.generations.settle_submit(world.submit("refused"), "failed", {})

    ends = {name: steps(world, name)[-1].detail for name in ("webhook", "check", "refused")}
    told = {"webhook": "by a webhook", "check": "by a status check"}
    assert {**told, "refused": "by the answer to the create request"} == ends


def test_a_long_life_stays_within_a_compact_field(world: World) -> None:
    """After days of waiting for every reason, Redis still stores the record in its small form."""
    day = 24 * 3600.0
    wake = world.settled("t", queued_seconds=day)
    world.redis.hset(world.key("record:t"), "times", "q5265c00w5265c00Lwa4cb800Rwa4cb800Pwa4cb800W")
    world.clock += 2 * day
    world.deliver(wake)
    world.ledger.generations.record_files(
        "t", [File(url="file:///a", kind="image", media_type="image/png", bytes=1)]
    )
    world.end("t", marker_of(wake))

    assert len(world.fields("record:t")["times"]) <= 64
    assert b"listpack" == world.redis.object("encoding", world.key("record:t"))
    assert ["woken", "downloaded"] == [step.name for step in steps(world, "t")][-2:]
    assert TTL == world.redis.ttl(world.key("record:t"))
