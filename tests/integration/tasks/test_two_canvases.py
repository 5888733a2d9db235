"""Canvases that share a generation by its task id: it is billed once, and each of them goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from celery import chord
from support.emulator_client import IMAGE, created
from support.fleet import Fleet
from support.generations import Log, new_id, one, started
from support.queues import creates_of
from support.raw_server import RawServer
from support.waiting import wait_until

from mulequeue.errors import GenerationFailed

ATTACHED = "another canvas of this task id waits for the same generation"


def note(fleet: Fleet, path: Path) -> Any:
    """A task that writes a line into a file when it runs."""
    return fleet.task("user.note", path=str(path))


def lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_two_chords_share_a_generation(shared: Fleet) -> None:
    """The second chord ends too, while the shared generation runs and after it has ended."""
    shared.emulator.faults(lives=[{"end": "never", "contains": "hero"}])
    hero = new_id("hero")

    def page(prompt: str) -> Any:
        members = [
            one(shared, "the hero", on_failure="return").set(task_id=hero),
            one(shared, prompt, on_failure="return"),
        ]
        return chord(members, shared.task("user.collect"), app=shared.app).delay()

    first = page("a")
    record = shared.wait_for_state(hero, "generating")
    log = Log(shared)
    second = page("b")
    log.wait_for(ATTACHED)
    shared.emulator.finish(record.remote_id)
    pages = [first.get(timeout=30), second.get(timeout=30), page("c").get(timeout=30)]

    assert [hero] * 3 == [members[0]["task_id"] for members in pages]
    prompts = [create["body"]["prompt"] for create in shared.emulator.creates()]
    assert ["a", "b", "c", "the hero"] == sorted(prompts)


def test_two_chains_of_one_id(shared: Fleet, tmp_path: Path) -> None:
    """Each chain runs its own next steps once, with the same outcome."""
    shared.emulator.faults(lives=[{"end": "never"}])
    task_id, log = new_id(), Log(shared)

    def order(name: str) -> Any:
        download = shared.task("mulequeue.download")
        steps = one(shared).set(task_id=task_id) | download | note(shared, tmp_path / name)
        return steps.delay()

    results = [order("one"), order("two"), order("three")]
    log.wait_for(ATTACHED, times=2)
    shared.emulator.finish(shared.wait_for_state(task_id, "generating").remote_id)

    outcomes = [result.get(timeout=30) for result in results]
    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert [1, 1, 1] == [lines(tmp_path / name) for name in ("one", "two", "three")]
    assert 1 == shared.emulator.stats()["creates"]


def test_links_of_a_failed_generation(shared: Fleet, tmp_path: Path) -> None:
    """Each call handles a failure as it says: one raises and runs its errback, the other goes on."""
    shared.emulator.faults(lives=[{"end": "failed", "detail": "a bad mule"}])
    task_id, failed, went_on = new_id(), tmp_path / "failed", tmp_path / "went on"

    first = one(shared).apply_async(
        task_id=task_id,
        link_error=shared.task("user.note", "failed", path=str(failed)).set(immutable=True),
    )
    with pytest.raises(GenerationFailed):
        first.get(timeout=30)
    shared.wait_for_state(task_id, "delivered")
    one(shared, on_failure="return").apply_async(task_id=task_id, link=note(shared, went_on))

    wait_until(lambda: lines(failed) and lines(went_on), what="both to have run")
    assert (1, 1) == (lines(failed), lines(went_on))
    assert 1 == shared.emulator.stats()["creates"]


def test_message_that_is_delivered_again_is_no_second_canvas(shared: Fleet, tmp_path: Path) -> None:
    """A message with a chain behind it that the broker delivers twice runs the chain once."""
    task_id, log = new_id(), Log(shared)
    queue = new_id("queue")
    steps = one(shared).set(task_id=task_id, queue=queue) | note(shared, tmp_path / "notes")
    result = steps.delay()
    redis = shared.redis.client
    (message,) = redis.lrange(creates_of(queue), 0, -1)
    redis.delete(creates_of(queue))

    redis.lpush("celery", message)
    result.get(timeout=30)
    shared.wait_for_state(task_id, "delivered")
    redis.lpush("celery", message)

    log.wait_for("nothing to do for this message: duplicate")
    assert 1 == lines(tmp_path / "notes")
    assert json.loads(message)["headers"]["id"] == task_id


def test_second_canvas_of_a_chained_generation(shared: Fleet, tmp_path: Path) -> None:
    """A generation from an asset is shared by its id as well."""
    hero, walk = new_id("hero"), new_id("walk")

    def order(name: str) -> Any:
        video = shared.task(
            "mulequeue.generate_from",
            "alibaba/wan2.6-i2v",
            {"prompt": "it walks"},
            poll_interval=0.1,
        )
        steps = one(shared).set(task_id=hero) | video.set(task_id=walk)
        return (steps | note(shared, tmp_path / name)).delay()

    outcomes = [order(name).get(timeout=30) for name in ("one", "two")]

    assert [walk, walk] == [outcome["task_id"] for outcome in outcomes]
    assert (1, 1) == (lines(tmp_path / "one"), lines(tmp_path / "two"))
    assert 2 == shared.emulator.stats()["creates"]


def test_second_canvas_of_an_adopted_generation(shared: Fleet, tmp_path: Path) -> None:
    """So is one that was adopted."""
    remote_id = created(shared.emulator, prompt="a mule")
    task_id = new_id()

    def order(name: str) -> Any:
        adopt = shared.task("mulequeue.adopt", IMAGE, remote_id, poll_interval=0.1)
        return (adopt.set(task_id=task_id) | note(shared, tmp_path / name)).delay()

    results = [order("one"), order("two")]

    assert ["succeeded"] * 2 == [result.get(timeout=30)["status"] for result in results]
    assert (1, 1) == (lines(tmp_path / "one"), lines(tmp_path / "two"))


def test_second_canvas_with_another_input_is_refused(shared: Fleet, tmp_path: Path) -> None:
    """Another input under the same id is a warning: nothing is billed, and nothing follows it."""
    shared.emulator.faults(lives=[{"end": "never"}])
    task_id, log = started(shared, "the first"), Log(shared)

    other = one(shared, "the second").set(task_id=task_id) | note(shared, tmp_path / "notes")
    other.delay()

    log.wait_for("a task id was enqueued again with another input; the first input is kept")
    shared.emulator.finish(shared.wait_for_state(task_id, "generating").remote_id)
    shared.wait_for_state(task_id, "delivered")
    assert ["the first"] == [create["body"]["prompt"] for create in shared.emulator.creates()]
    assert {} == shared.redis.client.hgetall(f"{shared.ledger.prefix}continuations:{task_id}")


def test_steps_with_ids_of_the_users_own(
    shared: Fleet, tmp_path: Path, receiver: RawServer
) -> None:
    """Canvases may share downloads and notifications by their ids as well."""
    task_id = new_id()

    def order(name: str) -> Any:
        steps = one(shared).set(task_id=task_id)
        steps |= shared.task("mulequeue.download").set(task_id=f"{task_id}-files")
        steps |= shared.task("mulequeue.notify", receiver.url).set(task_id=f"{task_id}-told")
        return (steps | note(shared, tmp_path / name)).delay()

    outcomes = [order(name).get(timeout=30) for name in ("one", "two")]

    assert outcomes[0] == outcomes[1]
    assert (1, 1) == (lines(tmp_path / "one"), lines(tmp_path / "two"))
    assert 1 == len({request.headers["webhook-id"] for request in receiver.requests})
    assert 1 == shared.emulator.stats()["creates"]


def test_second_canvas_behind_a_failed_generation(shared: Fleet, tmp_path: Path) -> None:
    """A step that passes a failure on does so in each canvas."""
    shared.emulator.faults(lives=[{"end": "failed"}])
    task_id, walk = new_id(), new_id("walk")

    def order(name: str) -> Any:
        video = shared.task("mulequeue.generate_from", "alibaba/wan2.6-i2v", {"prompt": "it walks"})
        hero = one(shared, on_failure="return").set(task_id=task_id)
        return (hero | video.set(task_id=walk) | note(shared, tmp_path / name)).delay()

    outcomes = [order(name).get(timeout=30) for name in ("one", "two")]

    assert ["failed", "failed"] == [outcome["status"] for outcome in outcomes]
    assert (1, 1) == (lines(tmp_path / "one"), lines(tmp_path / "two"))
    assert 1 == shared.emulator.stats()["creates"]
