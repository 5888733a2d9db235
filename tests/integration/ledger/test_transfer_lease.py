"""The lease of a download or notification: while it runs, and between its attempts."""

from __future__ import annotations

import pytest
from support.ledger_world import TTL, World

from mulequeue.ledger import Effects, RetryReason, unpack

SIGNATURE = {"task": "mulequeue.download", "args": [], "kwargs": {}, "options": {"task_id": "d"}}


def begin(world: World, run: str, task_id: str = "d") -> tuple[str, int, float]:
    return world.ledger.leases.begin(task_id, run, SIGNATURE)[:3]


def test_one_run_at_a_time(world: World) -> None:
    """While a run holds the lease every other message is busy, and repeated it is the same run."""
    assert ("run", 1, 0.0) == begin(world, "first")

    assert "busy" == begin(world, "second")[0]
    assert ("run", 1, 0.0) == begin(world, "first")


def test_a_heartbeat_keeps_the_lease(world: World) -> None:
    """A long transfer stays with its run as long as it says so every few seconds."""
    begin(world, "first")

    for _ in range(5):
        world.clock += 15
        assert world.ledger.leases.keep("d", "first")
        assert [] == world.claim().wakes
    assert "busy" == begin(world, "second")[0]


def test_a_dead_worker_s_transfer_is_woken(world: World) -> None:
    """Twenty seconds after the last heartbeat the transfer's own message is sent again."""
    begin(world, "first")

    assert [] == world.claim(19.9).wakes
    (wake,) = world.claim(0.2).wakes

    assert ("d", SIGNATURE) == (wake.task_id, unpack(wake.signature))
    what, attempts, elapsed = begin(world, "second")
    assert ("run", 2) == (what, attempts)
    assert 20.1 == pytest.approx(elapsed)
    assert not world.ledger.leases.keep("d", "first")
    assert not world.ledger.leases.end("d", "first", {}, ttl_seconds=60)


def test_a_slow_run_may_end_what_nobody_else_began(world: World) -> None:
    """A run whose lease lapsed ends its transfer as long as no other run has taken it up."""
    begin(world, "first")
    world.claim(25)

    assert world.ledger.leases.end("d", "first", {"error": None}, ttl_seconds=60)

    assert "done" == begin(world, "second")[0]
    assert world.due("transfer:d") is None


def test_a_slow_run_may_take_its_lease_back(world: World) -> None:
    """A heartbeat that comes too late holds off the run that was woken but has not begun."""
    begin(world, "first")
    world.claim(25)

    assert world.ledger.leases.keep("d", "first")

    assert "busy" == begin(world, "second")[0]


def test_between_attempts_nobody_holds_it(world: World) -> None:
    """A failed attempt is woken when its time has come, and counts on."""
    begin(world, "first")
    assert Effects(poll_by=world.clock + 300) == world.ledger.leases.retry("d", "first", 300)
    assert not world.ledger.leases.keep("d", "first")

    assert [] == world.claim(299).wakes
    assert 1 == len(world.claim(2).wakes)
    assert ("run", 2) == begin(world, "second")[:2]


def test_a_repeated_message_begins_no_attempt_early(world: World) -> None:
    """Between two attempts a message is ignored until the next one is due; then any message begins it."""
    begin(world, "first")
    world.ledger.leases.retry("d", "first", 300)

    for _ in range(3):
        assert "early" == begin(world, "repeated")[0]
    world.clock += 301
    assert ("run", 2) == begin(world, "repeated")[:2]


def test_the_messages_of_one_wake_are_one_attempt(world: World) -> None:
    """A wake that was published twice begins one attempt, and its second message none after it failed."""
    begin(world, "first")
    world.ledger.leases.retry("d", "first", 300)
    claim = world.claim(301)
    assert (1, False) == (len(claim.wakes), claim.is_mixed)
    assert 1 == len(world.claim(31).wakes)

    assert ("run", 2) == begin(world, "woken")[:2]
    world.ledger.leases.retry("d", "woken", 300)

    assert "early" == begin(world, "woken again")[0]


def test_an_attempt_that_another_worker_can_make_does_not_count(world: World) -> None:
    """Attempts that are left to other workers are counted apart, and their wakes are marked."""
    for number in range(3):
        assert ("run", 1) == begin(world, f"poor{number}")[:2]
        world.ledger.leases.retry(
            "d", f"poor{number}", 1, how=RetryReason.ELSEWHERE, cause="no key"
        )
        assert world.claim(1.1).is_mixed

    begun = world.ledger.leases.begin("d", "rich", SIGNATURE)

    assert (1, 3, "no key") == (begun.attempt, begun.elsewhere, begun.cause)


def test_what_was_decided_is_kept_until_it_is_dispatched(world: World) -> None:
    """After an attempt that ended no other is made: its value goes to every later delivery."""
    begin(world, "first")
    decide = world.ledger.leases.decide
    assert not decide("d", "first", {"value": 7}, is_dispatching=True)
    assert "busy" == begin(world, "second")[0]

    world.claim(21)  # its worker was killed
    begun = world.ledger.leases.begin("d", "second", SIGNATURE)

    assert ({"value": 7}, 1, 2) == (begun.verdict, begun.attempt, begun.deliveries)
    assert not decide("d", "first", {"value": 8}, is_dispatching=True)


def test_what_was_decided_without_its_task_is_delivered_at_once(world: World) -> None:
    """An attempt that its task did not wait for makes the next delivery due."""
    begin(world, "first")

    effects = world.ledger.leases.decide("d", "first", {"value": 7}, is_dispatching=False)

    assert Effects(poll_by=world.clock) == effects
    assert ["d"] == [wake.task_id for wake in world.claim().wakes]
    begun = world.ledger.leases.begin("d", "second", SIGNATURE)
    assert ({"value": 7}, 1) == (begun.verdict, begun.deliveries)


@pytest.mark.parametrize("is_decided", [False, True])
def test_deliveries_without_an_end_are_bounded(world: World, is_decided: bool) -> None:
    """The sixth delivery of what kills its workers, or cannot be dispatched, has to fail the task."""
    for number in range(5):
        assert "run" == begin(world, f"run{number}")[0]
        if is_decided and not number:
            world.ledger.leases.decide("d", "run0", {"value": 7}, is_dispatching=True)
        world.claim(21)

    assert "abandoned" == begin(world, "last")[0]
    assert world.ledger.leases.end("d", "last", {"error": "given up"}, ttl_seconds=60)
    assert "done" == begin(world, "repeated")[0]


def test_an_error_that_cannot_be_dispatched_either_is_final(world: World) -> None:
    """A seventh delivery is ignored, and the result names the last cause."""
    for number in range(6):
        begin(world, f"run{number}")
        world.ledger.leases.retry(
            "d", f"run{number}", 20, how=RetryReason.UNDISPATCHED, cause="no such queue"
        )
        world.claim(21)

    assert "done" == begin(world, "last")[0]
    assert world.due("transfer:d") is None
    assert {"error": "given up: no such queue", "tail": ""} == world.ledger.leases.result("d")
    assert 0 < world.redis.ttl(world.key("done:d")) <= TTL


def test_an_attempt_that_ends_starts_the_count_again(world: World) -> None:
    """Only deliveries in a row count: a failed attempt shows that its worker lives."""
    for number in range(20):
        assert ("run", number + 1) == begin(world, f"run{number}")[:2]
        world.ledger.leases.retry("d", f"run{number}", 1)
        world.claim(1.1)


def test_a_repeated_call_counts_once(world: World) -> None:
    """A begin whose answer was lost is repeated by the same run, and counts as one delivery."""
    for _ in range(10):
        assert ("run", 1) == begin(world, "first")[:2]
    world.claim(21)

    begun = world.ledger.leases.begin("d", "second", SIGNATURE)

    assert (2, 2) == (begun.attempt, begun.deliveries)


def test_its_generation_shows_why_it_was_given_up(world: World) -> None:
    """The record names the error of its download until a download of it succeeds."""
    world.settled("g")
    errors = []
    for error in ("no file", None):
        begin(world, "run", task_id := f"d{error}")
        end = {"ttl_seconds": 60, "generation": "g", "error_field": "file_error"}
        assert world.ledger.leases.end(task_id, "run", {"error": error}, **end)
        record = world.ledger.queries.record("g")
        assert record is not None
        errors.append(record.file_error)

    assert ["no file", None] == errors


def test_an_unanswered_wake_is_repeated_ever_more_rarely(world: World) -> None:
    """A transfer that nobody takes up is woken after 30, 60 … seconds, and from anew once it ran."""
    begin(world, "first")
    world.claim(21)

    waits = []
    for _ in range(3):
        waits.append(world.due("transfer:d"))
        world.claim(waits[-1])
    begin(world, "second")
    world.claim(21)

    assert [30, 60, 120] == pytest.approx(waits)
    assert 30 == pytest.approx(world.due("transfer:d"))


def test_done_is_done(world: World) -> None:
    """After its end a transfer is in no index, holds no memory but its result, and runs no more."""
    begin(world, "first")
    assert world.ledger.leases.end("d", "first", {"error": "x"}, ttl_seconds=60)

    assert ("done", 0, 0.0) == begin(world, "second")
    assert {"error": "x"} == world.ledger.leases.result("d")
    assert [world.key("done:d").encode()] == list(world.redis.scan_iter("*"))
    assert 0 < world.redis.ttl(world.key("done:d")) <= 60


def test_a_repeated_end_changes_nothing(world: World) -> None:
    """An end whose answer was lost is not written a second time."""
    begin(world, "first")
    world.ledger.leases.end("d", "first", {}, ttl_seconds=60)
    before = world.ledger.leases.result("d")

    assert not world.ledger.leases.end("d", "first", {"other": 1}, ttl_seconds=60)
    assert before == world.ledger.leases.result("d")


def expect(world: World, task_id: str = "d", task: str = "mulequeue.download") -> bool:
    return world.ledger.leases.expect(task_id, task, SIGNATURE)


def test_a_lost_message_is_published_again(world: World) -> None:
    """What no worker has begun 25 seconds after it was sent is sent again, ever more rarely."""
    assert expect(world)

    assert [] == world.claim(24.9).wakes
    (wake,) = world.claim(0.2).wakes

    assert ("d", SIGNATURE) == (wake.task_id, unpack(wake.signature))
    assert 30 == pytest.approx(world.due("transfer:d"))
    assert 1 == len(world.claim(30.1).wakes)
    assert 60 == pytest.approx(world.due("transfer:d"))


def test_an_expected_transfer_begins_like_any_other(world: World) -> None:
    """A message that arrives counts as the first attempt, and its own signature is kept."""
    expect(world)
    world.clock += 10
    other = {**SIGNATURE, "options": {"task_id": "d", "queue": "here"}}

    assert ("run", 1, 0.0) == world.ledger.leases.begin("d", "first", other)[:3]

    assert not expect(world)
    assert 20 == pytest.approx(world.due("transfer:d"))
    assert other == unpack(world.claim(21).wakes[0].signature)


def test_what_is_done_is_not_expected(world: World) -> None:
    """A dispatch that is repeated after the end of what follows wants nothing any more."""
    begin(world, "first")
    world.ledger.leases.end("d", "first", {}, ttl_seconds=60)

    assert not expect(world)

    assert world.due("transfer:d") is None


def test_a_message_in_a_queue_is_not_repeated(world: World) -> None:
    """While what was sent earlier is being begun, nothing is sent again, however long it waits."""
    for number in range(10):
        expect(world, f"d{number}")
        world.clock += 0.1

    for number in range(10):
        begin(world, f"run{number}", f"d{number}")
        world.ledger.leases.end(f"d{number}", f"run{number}", {}, ttl_seconds=60)
        assert [] == world.claim(26).wakes


def test_an_overtaken_message_is_lost(world: World) -> None:
    """A message is sent again as soon as it is overdue when a later one has begun already."""
    expect(world, "lost")
    world.clock += 1
    expect(world, "later")
    world.clock += 23
    begin(world, "run", "later")

    (wake,) = world.claim(1.5).wakes

    assert "lost" == wake.task_id


def test_a_queue_that_stands_still_is_no_excuse(world: World) -> None:
    """When nothing has begun for half a minute the message counts as lost, though not overtaken."""
    expect(world, "first")
    world.clock += 1
    expect(world, "second")
    begin(world, "run", "first")
    world.ledger.leases.end("first", "run", {}, ttl_seconds=60)

    assert [] == world.claim(26).wakes
    assert ["second"] == [wake.task_id for wake in world.claim(31).wakes]


def test_a_generation_that_arrived_is_expected_no_more(world: World) -> None:
    """The message of a generation has arrived once there is a record of it."""
    expect(world, "g", "mulequeue.generate_from")
    world.generating("g")

    assert [] == world.claim(26).wakes

    assert world.due("transfer:g") is None
    assert {} == world.fields("transfer:g")


def test_what_is_revoked_is_woken_once_more(world: World) -> None:
    """A transfer that was revoked while it waits is published once more, and then forgotten."""
    begin(world, "first")
    world.ledger.leases.retry("d", "first", 300)
    assert world.ledger.leases.revoke("d")

    assert ["d"] == [wake.task_id for wake in world.claim().wakes]

    assert world.due("transfer:d") is None
    assert not world.ledger.leases.revoke("d")


def test_what_is_revoked_while_it_runs_ends(world: World) -> None:
    """A transfer that runs when it is revoked may end; it has no other attempt."""
    begin(world, "first")
    world.ledger.leases.revoke("d")

    assert [] == world.claim(19).wakes
    assert world.ledger.leases.retry("d", "first", 300)
    assert 1 == len(world.claim(301).wakes)
    assert world.due("transfer:d") is None


def test_a_message_that_cannot_be_made_is_forgotten(world: World) -> None:
    """Nothing is left of an expected message that failed before it left."""
    expect(world)

    world.ledger.leases.forget("d")

    assert [] == list(world.redis.scan_iter("*"))
