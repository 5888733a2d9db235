"""Which generations are on the API's bill, and how certain that is."""

from __future__ import annotations

from decimal import Decimal

import pytest
from redis import Redis
from support.ledger_world import SUBMIT_LEASE, TTL, World, marker_of

from mulequeue.ledger import outcome_of
from mulequeue.ledger.expenses import Charging, Expense, read_expenses

CENTS = Decimal("0.05")
BATCH = {"batch_id": "b", "batch_size": 1}


@pytest.fixture
def world(redis: Redis) -> World:
    return World(redis)


def bring(world: World, end: str) -> None:
    """Bring the generation ``t`` to an end, or to a state."""
    generations = world.ledger.generations
    intent = world.submit("t", usd_micros=50_000, model="v/m", **BATCH)
    if end == "refused":
        generations.settle_submit(intent, "failed", None)
    elif end == "lost":
        generations.settle_submit(intent, "submit_unknown", None)
    elif end == "died":
        world.claim(SUBMIT_LEASE + 1)
    elif end == "waiting":
        world.requeue(intent)
    elif end == "cancelled, lost":
        generations.cancel("t", ttl_seconds=TTL)
        generations.settle_submit(intent, "submit_unknown", None)
    elif end != "submitting":
        world.record_id(intent, "r")
        if end == "cancelled":
            generations.cancel("t", ttl_seconds=TTL)
        elif end != "generating":
            generations.settle("t", None, end, {})


@pytest.mark.parametrize(
    ("end", "charging"),
    [
        ("generating", Charging.CHARGED),
        ("succeeded", Charging.CHARGED),
        ("timed_out", Charging.CHARGED),
        ("cancelled", Charging.CHARGED),
        ("failed", Charging.FAILED),
        ("submitting", Charging.MAYBE),
        ("lost", Charging.MAYBE),
        ("died", Charging.MAYBE),
        ("cancelled, lost", Charging.MAYBE),
        ("refused", None),
        ("waiting", None),
    ],
)
def test_each_end_says_how_certain_its_charge_is(
    world: World, end: str, charging: Charging | None
) -> None:
    """Accepted generations are charged, lost ones may be, and refused or unsent ones are not."""
    bring(world, end)

    found = list(read_expenses(world.ledger))

    assert [charging] == [expense.charging for expense in found] or (charging, found) == (None, [])
    for expense in found:
        assert (CENTS, "v/m", "default", "b") == (
            expense.usd,
            expense.model,
            expense.profile,
            expense.batch,
        )
        assert world.clock >= expense.at


def test_an_unknown_price_is_no_price_of_zero(world: World) -> None:
    """The expense says that it is unknown, and so does the outcome."""
    world.settled("t")

    assert [None] == [expense.usd for expense in read_expenses(world.ledger)]
    record = world.ledger.queries.record("t")
    assert record is not None
    assert outcome_of(record).estimated_usd is None


def test_the_outcome_has_the_estimate(world: World) -> None:
    """Also after its delivery; a refused generation cost nothing."""
    wake = world.settled("t", usd_micros=50_000)
    world.deliver(wake)
    world.end("t", marker_of(wake))
    refused = world.submit("u", usd_micros=50_000)
    world.ledger.generations.settle_submit(refused, "failed", None)

    paid, unpaid = world.ledger.queries.records(["t", "u"])
    assert paid is not None
    assert unpaid is not None
    assert (0.05, 0) == (outcome_of(paid).estimated_usd, outcome_of(unpaid).estimated_usd)


def test_an_adopted_generation_is_no_expense(world: World) -> None:
    """The generation that was submitted is."""
    world.record_id(world.intent("adopted", usd_micros=0), "r")

    assert [] == list(read_expenses(world.ledger))


def test_metadata_and_batch_are_those_of_the_call(world: World) -> None:
    """A batch has the sum of its members."""
    for name in ("a", "b"):
        given = {"batch_id": "b", "batch_size": 2, "metadata": '{"sku":"' + name + '"}'}
        world.generating(name, usd_micros=50_000, **given)

    found: list[Expense] = list(read_expenses(world.ledger))

    assert {"a", "b"} == {str(expense.metadata["sku"]) for expense in found}
    batch = world.ledger.queries.batch("b")
    assert batch is not None
    assert 2 * CENTS == batch.usd


def test_the_exporter_counts_what_was_or_may_have_been_created(world: World) -> None:
    """In millionths, by the status of the outcome; a refused generation is counted as nothing."""
    path = world.intent("x").path
    world.settled("t", usd_micros=50_000)
    lost = world.submit("u", usd_micros=20_000)
    world.ledger.generations.settle_submit(lost, "submit_unknown", None)
    refused = world.submit("v", usd_micros=10_000)
    world.ledger.generations.settle_submit(refused, "failed", None)

    spent = world.ledger.metrics.counters()["spend"]

    assert {(path, "succeeded"): 50_000, (path, "submit_unknown"): 20_000} == spent


def test_an_attempt_that_was_retried_stays_on_the_bill(world: World) -> None:
    """A failure at the API and a lost answer count beside the attempt that succeeds; a refusal does not."""
    generations = world.ledger.generations
    charges = [Charging.FAILED, Charging.MAYBE, Charging.CHARGED]
    for end in ("failed", "lost", "refused", "succeeded"):
        if end == "failed":
            bring(world, end)
        else:
            assert world.retry(world.retry_of(world.ledger.queries.record("t")))
            world.claim(1)
            marker = world.fields("record:t")["epoch"]
            intent = world.submit("t", marker=marker, usd_micros=50_000, **BATCH)
            if end == "succeeded":
                world.record_id(intent, "again")
                generations.settle("t", None, end, {})
            else:
                status = "submit_unknown" if end == "lost" else "failed"
                generations.settle_submit(intent, status, None)

    found = list(read_expenses(world.ledger))

    assert charges == [expense.charging for expense in found]
    assert [CENTS] * 3 == [expense.usd for expense in found]
    assert 150_000 == int(world.fields("batch:b")["usd"])
    world.check()
