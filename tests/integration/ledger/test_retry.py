"""What the ledger keeps for a retry, and what a retry changes."""

from __future__ import annotations

from redis import Redis
from support.ledger_world import TTL, World, marker_of

from mulequeue.ledger import CancelScope, Record
from mulequeue.ledger.timeline import steps_of

BATCH = {"batch_id": "b", "batch_size": 1}
TWO = {"batch_id": "b", "batch_size": 2}


def refused(world: World, task_id: str = "t", **given: object) -> Record:
    """A generation that the API refused, and whose failure was returned."""
    intent = world.submit(task_id, **given)
    effects = world.ledger.generations.settle_submit(intent, "failed", {"error": {"title": "422"}})
    return ended(world, effects.wakes[0])


def failed(world: World, **given: object) -> Record:
    """A generation that the API accepted, and that failed."""
    world.generating("t", "r", **given)
    return ended(world, world.ledger.generations.settle("t", None, "failed", {}).wakes[0])


def ended(world: World, wake) -> Record:
    assert "deliver" == world.deliver(wake).action
    assert world.end(wake.task_id, marker_of(wake))
    return record(world, wake.task_id)


def record(world: World, task_id: str = "t") -> Record:
    found = world.ledger.queries.record(task_id)
    assert found is not None
    return found


def epoch(world: World) -> str:
    return world.fields("record:t")["epoch"]


def kept(world: World) -> bytes | None:
    return world.ledger.retries.messages([record(world)])[0]


def test_the_message_is_kept_as_long_as_the_record_of_what_failed(world: World) -> None:
    """Refused or accepted: its input is there for a retry, and expires with the record."""
    refused(world)
    unpaid = kept(world)
    ttls = [world.redis.ttl(world.key(f"{kind}:t")) for kind in ("call", "record")]
    world.redis.flushall()
    failed(world)

    assert unpaid is not None
    assert TTL - 5 <= min(ttls) <= max(ttls) <= TTL
    assert kept(world) is not None


def test_no_input_is_kept_of_what_succeeded_or_is_large(world: World) -> None:
    """Prompts are no archive, and files in an input do not fill Redis while they are generated."""
    ended(world, world.settled("t"))
    succeeded = kept(world)
    world.redis.flushall()
    text = "".join(chr(0x4E00 + number * 7919 % 20000) for number in range(90_000))
    intent = world.intent("t")
    signature = {**intent.signature, "args": ["m", {"prompt": text}]}
    failed(world, signature=signature, epoch=intent.epoch)

    assert (None, None) == (succeeded, kept(world))


def test_a_message_of_the_former_epoch_changes_nothing(world: World) -> None:
    """Late wakes, late answers and late ids of the first attempt meet the second one."""
    intent = world.submit("t")
    effects = world.ledger.generations.settle_submit(intent, "submit_unknown", None)
    (wake,) = effects.wakes
    assert world.retry(world.retry_of(record(world)))

    assert "stale" == world.deliver(wake).action
    assert "duplicate" == world.ask(world.intent("t")).action
    assert not world.ledger.generations.settle_submit(intent, "failed", None)
    assert "attached" == world.record_id(intent, "late")[0]
    found = record(world)
    assert ("waiting", None, "late") == (found.state, found.remote_id, found.late_remote_id)


def test_a_failure_that_was_not_returned_yet_is_replaced(world: World) -> None:
    """Its chain and its chord have received nothing, so they keep their ids."""
    intent = world.submit("t")
    world.ledger.generations.settle_submit(intent, "failed", None)

    assert world.retry(world.retry_of(record(world)))

    assert (1, 0) == (record(world).retries, record(world).returned)


def test_a_failure_that_is_being_returned_is_not_retried(world: World) -> None:
    """What follows it may have been published."""
    intent = world.submit("t")
    (wake,) = world.ledger.generations.settle_submit(intent, "failed", None).wakes
    world.deliver(wake)

    assert not world.retry(world.retry_of(record(world)))


def test_a_retried_member_does_not_expire_with_its_batch(world: World) -> None:
    """Who retries it wants it now, whenever the batch was to end."""
    found = refused(world, **BATCH)
    assert world.retry(world.retry_of(found))

    states, effects = world.ledger.generations.cancel_batch(
        "b", ["t"], ttl_seconds=TTL, which=CancelScope.EXPIRED
    )

    assert (["waiting"], ()) == (states, effects.wakes)
    assert "waiting" == record(world).state


def test_a_task_that_returns_the_batch_meanwhile_waits_again(world: World) -> None:
    """A member is retried while the batch's task publishes what follows it."""
    leases, signature = world.ledger.leases, {"task": "mulequeue.generate_many"}
    leases.begin("many", "run", signature)
    found = refused(world, **BATCH)
    leases.wait("many", "run", "b", signature, seconds=300)
    leases.begin("many", "last", signature)

    assert world.retry(world.retry_of(found))
    leases.end("many", "last", {"error": None, "tail": ""}, ttl_seconds=TTL)

    assert leases.result("many") is None
    assert 1 == leases.begin("many", "again", signature).returned


def test_a_retry_moves_the_counts_of_the_batch(world: World) -> None:
    """The member is waiting again, and its batch is not over."""
    found = refused(world, **BATCH)

    assert world.retry(world.retry_of(found))

    counts = world.ledger.queries.batch("b").counts
    assert (1, 0) == (counts["waiting"], counts["failed"])
    assert -1 == world.redis.ttl(world.key("batch:b"))
    world.check()


def test_a_retry_is_refused_by_the_same_budget_until_it_is_raised(redis: Redis) -> None:
    """The size of a batch is checked again: one that is still too large sends nothing."""
    small = World(redis, max_per_batch=1)
    intent = small.intent("t", **TWO)
    assert "wake" == small.ask(intent).action
    large = World(redis, max_per_batch=2)

    actions = []
    for world in (small, large):
        assert world.retry(world.retry_of(record(world)))
        world.claim(1)
        actions.append(world.ask(world.intent("t", marker=epoch(world), **TWO)).action)

    assert ["wake", "submit"] == actions
    large.check()


def test_the_timeline_shows_the_retry(world: World) -> None:
    """The steps of the first attempt make room for those of the second one."""
    found = refused(world)
    world.clock += 60

    assert world.retry(world.retry_of(found))

    assert ["received", "retried"] == [step.name for step in steps_of(record(world))]


def test_a_member_of_another_size_is_refused_again(world: World) -> None:
    """What was refused because its batch has another size is not sent by a retry, nor counted there."""
    world.submit("m0", **TWO)
    three = {**TWO, "batch_size": 3}
    refused_before = ended(world, world.ask(world.intent("t", **three)).effects.wakes[0])

    assert world.retry(world.retry_of(refused_before))
    (wake,) = world.claim(1).wakes
    again = world.ask(world.intent("t", marker=marker_of(wake), **three))

    assert "wake" == again.action
    assert "Batch b has 2 generations" in record(world).answer["error"]["title"]
    assert "0" == world.fields("batch:b").get("waiting", "0")
    world.check()
