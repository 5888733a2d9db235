"""A batch in the ledger: what it was made from, and the task that waits for its last member."""

from __future__ import annotations

from typing import Any

import pytest
from support.ledger_world import TTL, World

from mulequeue.ledger import BatchState, CancelScope, Effects, Ledger, unpack
from mulequeue.outcome import File

FULL = {"task": "mulequeue.generate_many", "args": ["m", [{"prompt": "a"}]], "kwargs": {}}
SLIM = {"task": "mulequeue.generate_many", "args": ["m", None], "kwargs": {}}
MEMBER = {"batch_id": "b", "batch_size": 2}
FILE = File(url="file:///0.png", kind="image", media_type="image/png", bytes=1)


def open_batch(ledger: Ledger, *, digest: str = "d", size: int = 2, downloads: bool = False) -> str:
    state, _ = ledger.batches.open("b", size=size, digest=digest, downloads=downloads)
    return state


def park(world: World) -> Effects:
    """Let the task of the batch begin, and wait."""
    assert "run" == world.ledger.leases.begin("body", "run", FULL).result
    return world.ledger.leases.wait("body", "run", "b", SLIM, seconds=300)


def fail(world: World, task_id: str) -> Effects:
    intent = world.submit(task_id, **MEMBER)
    return world.ledger.generations.settle_submit(intent, "failed", {})


def test_a_known_batch_is_opened_by_the_same_inputs_only(world: World) -> None:
    """The same call is let in again; another digest or size is not, and changes nothing."""
    assert BatchState.OPENED == open_batch(world.ledger)
    assert BatchState.OPENED == open_batch(world.ledger)
    before = world.everything()

    other = world.ledger.batches.open("b", size=2, digest="e", downloads=True)
    larger = world.ledger.batches.open("b", size=3, digest="d", downloads=True)

    assert [(BatchState.OTHER, 2)] * 2 == [other, larger]
    assert before == world.everything()


@pytest.mark.parametrize("downloads", [False, 0, None, ""])
def test_a_batch_without_downloads_is_over_with_its_last_outcome(
    world: World, downloads: Any
) -> None:
    """Any false value says that its members are not downloaded."""
    open_batch(world.ledger, size=1, downloads=downloads)
    world.settled("b-0", batch_id="b", batch_size=1)

    batch = world.ledger.queries.batch("b")

    assert batch is not None
    assert (False, 1) == (batch.downloads, batch.over)


def test_a_batch_is_published_once(world: World) -> None:
    """After its members are published, a repeated call finds them published."""
    open_batch(world.ledger)

    world.ledger.batches.record_sent("b", 2, is_all=True)

    assert BatchState.PUBLISHED == open_batch(world.ledger)


def test_a_batch_that_was_cancelled_before_it_began_is_not_published(world: World) -> None:
    """Its record keeps its end of life, and all its members count as cancelled."""
    world.ledger.generations.cancel_batch("b", ["b"], ttl_seconds=TTL)

    assert BatchState.STOPPED == open_batch(world.ledger)

    batch = world.ledger.queries.batch("b")
    assert batch is not None
    assert (2, 2) == (batch.over, batch.counts["cancelled"])
    assert 0 < world.redis.ttl(world.key("batch:b")) <= TTL


def test_the_last_member_wakes_the_task(world: World) -> None:
    """The task waits while a member is open, and is due the moment the last one is settled."""
    open_batch(world.ledger)
    park(world)
    fail(world, "b-0")
    assert 300 == pytest.approx(world.due("transfer:body"))

    effects = fail(world, "b-1")

    assert effects.poll_by == world.clock
    assert 0 == world.due("transfer:body")
    woken = {wake.task_id: unpack(wake.signature) for wake in world.claim().wakes}
    assert SLIM == woken["body"]
    assert "run" == world.ledger.leases.begin("body", "again", SLIM).result


def test_a_member_is_over_after_its_download(world: World) -> None:
    """In a batch with downloads a success counts once its files are recorded, or their loss."""
    open_batch(world.ledger, downloads=True)
    park(world)
    for task_id in ("b-0", "b-1"):
        world.settled(task_id, **MEMBER)
    world.ledger.generations.record_files("b-0", [FILE])
    assert 300 == pytest.approx(world.due("transfer:body"))

    effects = world.ledger.generations.record_files("b-1", (), error="gone")

    assert effects.poll_by == world.clock
    assert 0 == world.due("transfer:body")
    record = world.ledger.queries.record("b-1")
    assert record is not None
    assert (True, "gone") == (record.is_downloaded, record.file_error)


def test_files_after_all_take_the_loss_back(world: World) -> None:
    """A repeated download that stores the files leaves no error on the record."""
    world.settled("b-0", **MEMBER)
    world.ledger.generations.record_files("b-0", (), error="gone")

    world.ledger.generations.record_files("b-0", [FILE])

    record = world.ledger.queries.record("b-0")
    assert record is not None
    assert ((FILE,), None) == (record.files, record.file_error)


def test_a_batch_that_ends_while_the_task_runs(world: World) -> None:
    """A running task keeps its lease; if it then waits, it is woken seconds later."""
    open_batch(world.ledger)
    assert "run" == world.ledger.leases.begin("body", "run", FULL).result
    for task_id in ("b-0", "b-1"):
        fail(world, task_id)
    assert 20 == pytest.approx(world.due("transfer:body"))

    effects = world.ledger.leases.wait("body", "run", "b", SLIM, seconds=300)

    assert 2 == pytest.approx(world.due("transfer:body"))
    assert world.clock + 2 == pytest.approx(effects.poll_by)


def test_the_cancel_of_a_batch_ends_it(world: World) -> None:
    """One call cancels what waits or runs; members that never began are over, and the task is due."""
    open_batch(world.ledger)
    park(world)
    world.generating("b-0", **MEMBER)

    states, effects = world.ledger.generations.cancel_batch("b", ["b-0", "b-1"], ttl_seconds=TTL)

    assert ["generating", "unknown"] == states
    assert ["b-0"] == [wake.task_id for wake in effects.wakes]
    assert effects.poll_by == world.clock
    assert 0 == world.due("transfer:body")
    assert world.ledger.queries.record("b-1") is None
    assert "wake" == world.ask(world.intent("b-1", **MEMBER)).action


def test_thousands_are_cancelled_in_a_few_calls(world: World) -> None:
    """The number of commands to Redis does not grow with the members."""
    ids = [f"b-{number:06}" for number in range(2500)]
    open_batch(world.ledger, size=len(ids))
    world.generating(ids[-1], batch_id="b", batch_size=len(ids))

    def commands() -> int:
        return int(world.redis.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0))

    world.ledger.generations.cancel(
        "other", ttl_seconds=TTL
    )  # the first call may have to send the script
    before = commands()
    states, effects = world.ledger.generations.cancel_batch("b", ids, ttl_seconds=TTL)

    assert 3 == commands() - before
    assert ["unknown"] * 2499 + ["generating"] == states
    assert [ids[-1]] == [wake.task_id for wake in effects.wakes]


def test_a_member_of_another_size_is_refused(world: World) -> None:
    """A generation that states another size than its batch has is not sent, nor counted there."""
    open_batch(world.ledger)

    verdict = world.ask(world.intent("x", batch_id="b", batch_size=3))

    assert "wake" == verdict.action
    record = world.ledger.queries.record("x")
    assert record is not None
    assert ("failed", None) == (record.status, record.batch)
    assert "Batch b has 2 generations; this call states 3" == record.answer["error"]["title"]
    batch = world.ledger.queries.batch("b")
    assert batch is not None
    assert (2, 0) == (batch.size, batch.over)
    world.check()


def test_tasks_of_one_id_with_other_followers_have_leases_of_their_own(world: World) -> None:
    """A repeated message finds its own lease; one with another tail finds none, also at the end."""
    begin, end = world.ledger.leases.begin, world.ledger.leases.end
    assert "run" == begin("body", "one", FULL, tail="x").result

    assert "busy" == begin("body", "two", FULL, tail="x").result
    assert "other" == begin("body", "two", FULL, tail="y").result
    assert "busy" == begin("body", "two", FULL).result

    end("body", "one", {"tail": "x"}, ttl_seconds=TTL)
    assert "done" == begin("body", "three", FULL, tail="x").result
    assert "other" == begin("body", "three", FULL, tail="y").result


def test_a_member_that_has_begun_is_not_expected(world: World) -> None:
    """The message of a member is repeated until a worker has it, and not afterwards."""
    expect = world.ledger.leases.expect_all
    messages = [(name, "mulequeue.generate", SLIM, "") for name in ("b-0", "b-1")]
    assert {"b-0", "b-1"} == expect(messages)

    world.submit("b-0", **MEMBER)

    assert set() == expect(messages)
    assert world.due("transfer:b-0") is None
    assert [] == world.claim(26).wakes
    assert ["b-1"] == [wake.task_id for wake in world.claim(31).wakes]


def test_a_member_in_a_backlog_is_not_repeated(world: World) -> None:
    """While earlier messages of the queue are being begun, a later one is not taken for lost."""
    for name in ("b-0", "b-1", "b-2"):
        world.ledger.leases.expect(name, "mulequeue.generate", SLIM)
        world.clock += 0.001
    world.clock += 20
    world.submit("b-0", batch_id="b", batch_size=3)

    assert [] == world.claim(6).wakes

    assert {"b-1", "b-2"} == {wake.task_id for wake in world.claim(31).wakes}


def test_an_expired_batch_is_woken_and_begins_nothing_more(world: World) -> None:
    """The task is due when the batch expires; only what was not sent is then cancelled."""
    world.ledger.batches.open("b", size=2, digest="d", downloads=False, expires=world.clock + 60)
    park(world)
    assert 60 == pytest.approx(world.due("transfer:body"))
    world.generating("b-0", **MEMBER)

    states, effects = world.ledger.generations.cancel_batch(
        "b", ["b-0", "b-1"], ttl_seconds=TTL, which=CancelScope.EXPIRED
    )

    assert (["generating", "unknown"], ()) == (states, effects.wakes)
    assert "wake" == world.ask(world.intent("b-1", **MEMBER)).action
    world.ledger.generations.settle("b-0", None, "succeeded", {"kind": "image"})
    assert 0 == world.due("transfer:body")


def test_a_download_behind_a_backlog_of_members_is_not_repeated(world: World) -> None:
    """Tasks can share a queue: while members that were sent before it begin, it is not lost."""
    leases = world.ledger.leases
    for name in ("b-0", "b-1", "b-2"):
        leases.expect_all([(name, "mulequeue.generate", SLIM, "")])
        world.clock += 0.001
    leases.expect("b-0-files", "mulequeue.download", SLIM)
    world.clock += 20
    world.submit("b-0", batch_id="b", batch_size=3)

    assert [] == world.claim(10).wakes
    world.submit("b-1", batch_id="b", batch_size=3)
    assert [] == world.claim(26).wakes

    assert {"b-2", "b-0-files"} == {wake.task_id for wake in world.claim(31).wakes}


def test_the_wake_of_a_member_behind_a_backlog_is_not_repeated(world: World) -> None:
    """The outcome of a member that is downloaded waits in the queue of the downloads, not of the wakes."""
    world.ledger.batches.open("b", size=2, digest="d", downloads=True)
    world.ledger.leases.expect("b-1", "mulequeue.generate", SLIM)
    world.settled("b-0", **MEMBER)
    world.clock += 20
    world.submit("b-1", **MEMBER)

    assert [] == world.claim(11).wakes

    assert ["b-0"] == [wake.task_id for wake in world.claim(31).wakes]
