"""What Flower and celery's own commands see of generations."""

from __future__ import annotations

from support.events import Events
from support.fleet import Fleet
from support.generations import one, started
from support.waiting import wait_until

from mulequeue.ledger import unpack

NEVER = {"lives": [{"end": "never"}]}


def test_state_generating(shared: Fleet) -> None:
    """AsyncResult and Flower show GENERATING with the model while the API works."""
    shared.emulator.faults(**NEVER)

    result = shared.app.AsyncResult(started(shared))

    wait_until(lambda: result.state == "GENERATING", what="GENERATING")
    assert {"model": "alibaba/wan2.6-t2i"} == result.info


def test_event_generating(shared: Fleet) -> None:
    """One event task-generating with the model is sent per generation."""
    with Events(shared) as events:
        result = one(shared).delay()
        result.get(timeout=30)

        seen = events.wait_for(result.id, "task-succeeded")
        generating = [event for event in seen if event["type"] == "task-generating"]
        assert ["alibaba/wan2.6-t2i"] == [event["model"] for event in generating]


def test_a_failure_that_is_a_value_is_a_failure_in_events(shared: Fleet) -> None:
    """The task succeeds and returns the failure; monitors get the event of a failed task."""
    shared.emulator.faults(lives=[{"end": "failed"}])
    with Events(shared) as events:
        result = one(shared, on_failure="return").delay()
        assert "failed" == result.get(timeout=30)["status"]

        seen = events.wait_for(result.id, "task-failed")
        assert "task-succeeded" not in [event["type"] for event in seen]
        assert ("failed", "GenerationError: failed") == (seen[-1]["result"], seen[-1]["exception"])
    assert "SUCCESS" == result.state


def test_events_are_as_many_however_long_it_takes(shared: Fleet) -> None:
    """A generation of two checks and one of ten send the same events."""
    lives = [{"contains": "short", "polls": 1}, {"contains": "long", "polls": 5}]
    shared.emulator.faults(lives=lives)
    with Events(shared) as events:
        short, long = one(shared, "short").delay(), one(shared, "long").delay()
        short.get(timeout=30)
        long.get(timeout=30)

        for result in (short, long):
            events.wait_for(result.id, "task-succeeded")
        assert 5 == shared.ledger.queries.record(long.id).polls
        assert sorted(events.types_of(short.id)) == sorted(events.types_of(long.id))


def test_poll_is_scheduled_while_it_waits(shared: Fleet) -> None:
    """celery inspect scheduled shows the one poll message with the time it will run at."""
    shared.emulator.faults(**NEVER)
    started(shared, poll_interval=20)

    def scheduled() -> list[dict]:
        found = shared.app.control.inspect(timeout=2).scheduled() or {}
        rows = [row for rows in found.values() for row in rows]
        return [row for row in rows if row["request"]["name"] == "mulequeue.poll"]

    rows = wait_until(scheduled, what="a scheduled poll message")
    assert all(row["eta"] for row in rows)


def test_no_key_is_to_be_seen(shared: Fleet) -> None:
    """Neither events nor logs nor Redis hold the API key."""
    shared.emulator.faults(lives=[{"contains": "slow", "end": "never"}])
    with Events(shared) as events:
        parked_id = started(shared, "slow")
        result = one(shared).delay()
        result.get(timeout=30)
        events.wait_for(result.id, "task-succeeded")
        seen = str(events.of(result.id)) + shared.logs + redis_text(shared)

    assert parked_id in seen
    assert shared.env["MULEROUTER_API_KEY"] not in seen


def redis_text(fleet: Fleet) -> str:
    """Everything that Redis holds, as text."""
    redis = fleet.redis.client
    read = {
        b"hash": redis.hgetall,
        b"list": lambda key: redis.lrange(key, 0, -1),
        b"set": redis.smembers,
        b"zset": lambda key: redis.zrange(key, 0, -1),
    }
    texts = []
    for key in redis.scan_iter():
        held = read.get(redis.type(key), redis.get)(key)
        texts.append(str(unpack(held)) if b":parked:" in key else str(held))
    return "\n".join(texts)
