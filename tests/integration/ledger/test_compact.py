"""Delivered records in their packed form: everything that may still happen to them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from redis import Redis
from support.ledger_world import TTL, World, marker_of

from mulequeue.ledger import outcome_of
from mulequeue.ledger.expenses import read_expenses
from mulequeue.outcome import File

FILE = File(url="s3://b/0.png", kind="image", media_type="image/png", bytes=9)
GIVEN = {"usd_micros": 50_000, "batch_id": "b", "batch_size": 1, "tail": "tail", "model": "v/m"}


def delivered(world: World, *, files: bool = True) -> None:
    """The generation ``t`` has succeeded, and its files are stored."""
    wake = world.settled("t", **GIVEN)
    world.deliver(wake)
    if files:
        world.ledger.generations.record_files("t", [FILE])
    assert world.end("t", marker_of(wake))


@pytest.fixture
def world(redis: Redis) -> World:
    """A fleet with one delivered generation, whose record is packed."""
    found = World(redis)
    delivered(found)
    before = found.ledger.queries.record("t")
    assert before is not None
    assert found.ledger.generations.compact("t")
    over = {"deadline": None, "epoch": "", "key": ""}
    assert replace(before, **over) == found.ledger.queries.record("t")
    return found


def test_the_record_takes_less_than_a_kibibyte(world: World) -> None:
    """With its remote id; and it expires as before."""
    names = [world.key("record:t"), world.key("remote:remote-t")]
    used = sum(int(world.redis.memory_usage(name, samples=0)) for name in names)

    assert used < 900
    assert not world.redis.exists(world.key("outcome:t"), world.key("files:t"))
    assert TTL - 5 < world.redis.ttl(world.key("record:t")) <= TTL
    assert b"listpack" == world.redis.object("encoding", world.key("record:t"))


def test_a_message_of_the_same_id_is_a_duplicate(world: World) -> None:
    """Also of a wake that comes late; nothing is submitted."""
    verdict = world.ask(world.intent("t", **GIVEN))
    other = world.ask(world.intent("t", **{**GIVEN, "digest": "other"}))

    assert ("duplicate", "delivered", True) == (
        verdict.action,
        verdict.state,
        verdict.is_same_input,
    )
    assert not other.is_same_input
    assert "stale" == world.ask(world.intent("t", marker="an epoch", **GIVEN)).action


def test_another_canvas_gets_the_whole_outcome(world: World) -> None:
    """It is woken at once, and has assets, files and remote id."""
    verdict = world.ask(world.intent("t", **{**GIVEN, "tail": "another"}))
    (wake,) = verdict.effects.wakes

    found = world.deliver(wake)

    assert ("wake", "deliver") == (verdict.action, found.action)
    assert found.record is not None
    assert (FILE,) == outcome_of(found.record).files
    assert "remote-t" == found.record.remote_id
    assert not world.ledger.generations.compact("t")  # until it is delivered there too
    assert world.end("t", marker_of(wake))
    assert 0 < world.redis.ttl(world.key("record:t")) <= TTL


def test_files_that_are_stored_again_are_not_counted_again(world: World) -> None:
    """The list is the new one, and the batch has as many as before."""
    again = File(url="s3://b/1.png", kind="image", media_type="image/png", bytes=9)

    world.ledger.generations.record_files("t", [again])

    batch = world.ledger.queries.batch("b")
    record = world.ledger.queries.record("t")
    assert batch is not None
    assert record is not None
    assert (1, 1, (again,)) == (batch.files, batch.downloaded, record.files)
    assert world.ledger.generations.compact("t")
    assert record == world.ledger.queries.record("t")


def test_a_repeated_download_that_fails_takes_no_files_away(world: World) -> None:
    """They are stored."""
    world.ledger.generations.record_files("t", [], error="the disk is full")

    record = world.ledger.queries.record("t")
    assert record is not None
    assert ((FILE,), None) == (record.files, record.file_error)


def test_a_late_id_is_kept_and_a_known_one_is_known(world: World) -> None:
    """A paid id is never dropped, and the answer of a repeated call is the same."""
    intent = world.intent("t", **GIVEN)

    assert "known" == world.record_id(intent, "remote-t")[0]
    assert ["attached"] * 2 == [world.record_id(intent, "another")[0] for _ in range(2)]

    record = world.ledger.queries.record("t")
    assert record is not None
    assert ("remote-t", "another") == (record.remote_id, record.late_remote_id)


def test_the_expense_is_the_same(world: World) -> None:
    """Of a day, a batch and a model."""
    (found,) = read_expenses(world.ledger)

    assert ("0.05", "b", "v/m") == (str(found.usd), found.batch, found.model)


def test_cancelling_changes_nothing(world: World) -> None:
    """It is over."""
    before = world.everything()

    state, effects = world.ledger.generations.cancel("t", ttl_seconds=TTL)

    assert ("delivered", False, before) == (state, bool(effects), world.everything())


@pytest.mark.parametrize("state", ["waiting", "submitting", "generating", "settled", "delivering"])
def test_a_generation_that_is_not_over_is_not_packed(redis: Redis, state: str) -> None:
    """Scripts need all of its fields."""
    world = World(redis)
    world.put(state)

    before = world.everything()
    assert not world.ledger.generations.compact("t")
    assert before == world.everything()


def test_a_generation_that_failed_is_not_packed(redis: Redis) -> None:
    """A retry needs it, and the reason why files were not stored a person."""
    world = World(redis)
    delivered(world, files=False)
    world.ledger.generations.record_files("t", [], error="the disk is full")

    assert not world.ledger.generations.compact("t")
    assert not world.ledger.generations.compact("unknown")


def test_a_change_meanwhile_is_not_lost(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record that was read is compared with the one that is replaced."""
    world = World(redis)
    delivered(world, files=False)
    keys = world.ledger.generations._keys
    run = keys.run

    def stored_first(script: str, *items: object, **args: object) -> object:
        if script == "compact":
            run("files", task_id="t", files=json.dumps([]), count=0)
        return run(script, *items, **args)

    monkeypatch.setattr(keys, "run", stored_first)
    assert not world.ledger.generations.compact("t")

    record = world.ledger.queries.record("t")
    assert record is not None
    assert record.is_downloaded
