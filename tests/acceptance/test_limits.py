"""Eight processes submit as fast as they can, and the API never sees one too many.

Counted is what the emulator saw: when each create arrived, and which generations ran then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from support.fleet import Fleet
from support.generations import MODEL
from support.ledger_rates import fits
from support.waiting import wait_until

from mulequeue.tasks.canvases import generate_many
from mulequeue.tasks.control import pause, unpause

OTHER = "alibaba/wan2.5-t2i-preview"
PER_SECOND, IN_FLIGHT = 12, 10
OTHER_PER_SECOND, OTHER_IN_FLIGHT = 3, 2
LIMITS = f"""
mulequeue_submissions_per_second = {PER_SECOND}
mulequeue_max_in_flight = {IN_FLIGHT}
mulequeue_models = {{
    {OTHER!r}: {{
        "submissions_per_second": {OTHER_PER_SECOND}, "max_in_flight": {OTHER_IN_FLIGHT}
    }}
}}
"""


def start(fleet: Fleet, model: str, name: str, count: int) -> None:
    inputs = [{"prompt": f"{name} {number}"} for number in range(count)]
    batch = generate_many(model, inputs, batch_id=name, download=False, poll_interval=0.2)
    batch.apply_async(ignore_result=True)


def is_over(fleet: Fleet, name: str, count: int) -> bool:
    batch = fleet.ledger.queries.batch(name)
    return batch is not None and batch.over == count


def most_at_once(generations: Sequence[dict[str, Any]]) -> int:
    """The most that ran at the moment at which any of them began."""
    return max(
        sum(other["created"] <= item["created"] < other["ended"] for other in generations)
        for item in generations
    )


def customer_of(generation: dict[str, Any]) -> str:
    return str(generation["prompt"].split()[0])


def test_no_customer_exceeds_its_limits(make_fleet: Callable[..., Fleet]) -> None:
    """Eight processes submit for three customers; none has more in flight, or costs more, than a key may.

    What is refused names the limit; generations without a key have no such limit.
    """
    config = f"""
mulequeue_max_in_flight_per_fair_key = 3
mulequeue_max_usd_per_day_per_fair_key = 0.5
mulequeue_prices = {{{MODEL!r}: {{"unit": "image", "usd": 0.03}}}}
mulequeue_defaults = {{{MODEL!r}: {{"n": 1}}}}
"""
    fleet = make_fleet(min_seconds=0.1, max_seconds=0.6, celeryconfig=config)
    workers = [fleet.worker("-c", "2", wait=False) for _ in range(4)]
    for worker in workers:
        worker.wait_ready()
    names = {f"{customer} {index}": customer for customer in "ABC" for index in range(4)}
    for name, customer in {**names, "other 0": None}.items():
        for number in range(6):
            call = {"fair_key": customer, "batch_id": name, "batch_size": 6, "poll_interval": 0.2}
            given = {"prompt": f"{name} {number}"}
            fleet.task(
                "mulequeue.generate", MODEL, given, **call, on_failure="return"
            ).apply_async()

    wait_until(lambda: over(fleet) == 78, seconds=120, what="all to be over")

    created = fleet.emulator.generations()
    for customer in "ABC":
        own = [it for it in created if customer_of(it) == customer]
        assert 16 == len(own)  # 16 × 0.03 = 0.48 USD
        assert most_at_once(own) <= 3
    assert 6 == sum(customer_of(it) == "other" for it in created)
    records = fleet.ledger.queries.records(list(fleet.ledger.queries.task_ids()))
    refused = [it for it in records if it and it.status == "failed"]
    assert 24 == len(refused)
    assert all("max_usd_per_day_per_fair_key" in it.answer["error"]["title"] for it in refused)
    assert not fleet.ledger.redis.exists(f"{fleet.ledger.prefix}keys:default")


def over(fleet: Fleet) -> int:
    counts = fleet.ledger.queries.counts()
    return sum(counts.get(name, 0) for name in ("succeeded", "failed"))


def test_the_api_never_sees_one_too_many(make_fleet: Callable[..., Fleet]) -> None:
    """No second holds more creates, and no moment more generations, than is allowed; of a model
    with limits of its own likewise.
    """
    fleet = make_fleet(min_seconds=0.1, max_seconds=0.6, celeryconfig=LIMITS)
    fleet.app.set_current()
    # Answers that take their time: the request has arrived long before its worker knows.
    fleet.emulator.faults(creates=[{"contains": "7", "do": "slow", "seconds": 0.4, "count": 99}])
    workers = [fleet.worker("-c", "2", wait=False) for _ in range(4)]
    for worker in workers:
        worker.wait_ready()

    start(fleet, MODEL, "pictures", 80)
    start(fleet, OTHER, "others", 12)
    for name, count in (("pictures", 80), ("others", 12)):
        wait_until(lambda n=name, c=count: is_over(fleet, n, c), seconds=200, what=name)

    creates, generations = fleet.emulator.creates(), fleet.emulator.generations()
    path = next(it["path"] for it in creates if it["body"]["prompt"].startswith("others"))
    of_other = [it for it in generations if it["api_path"] == path]
    assert fits(sorted(it["at"] for it in creates), PER_SECOND, 1.0)
    assert fits(sorted(it["at"] for it in creates if it["path"] == path), OTHER_PER_SECOND, 1.0)
    assert 1 < most_at_once(generations) <= IN_FLIGHT
    assert most_at_once(of_other) <= OTHER_IN_FLIGHT
    assert 0 == fleet.emulator.stats()["duplicates"]


def test_a_small_batch_and_a_single_one_do_not_wait_for_a_large_batch(
    make_fleet: Callable[..., Fleet],
) -> None:
    """With 200 waiting, ten that came later and one more are done while most of the 200 wait."""
    fleet = make_fleet(min_seconds=0.0, max_seconds=0.1, env={"MULEQUEUE_MAX_IN_FLIGHT": "4"})
    fleet.app.set_current()
    fleet.worker("-c", "4")
    pause()  # until all of them wait: a slow machine may submit as fast as it enqueues
    for name, count, waiting in (("large", 200, 200), ("small", 10, 210)):
        start(fleet, MODEL, name, count)
        wait_until(
            lambda waiting=waiting: waiting == fleet.ledger.queries.counts().get("waiting"),
            seconds=60,
            what="a line",
        )

    unpause()
    wait_until(lambda: is_over(fleet, "small", 10), seconds=60, what="the small batch")

    order = [sent["body"]["prompt"].split()[0] for sent in fleet.emulator.creates()]
    first, last = order.index("small"), len(order) - 1 - order[::-1].index("small")
    # Ten turns of two batches; what was submitted before the last of the ten arrived counts too.
    assert last - first <= 2 * 10 + 10
    single = fleet.task("mulequeue.generate", MODEL, {"prompt": "single"}, poll_interval=0.2)
    single.apply_async().get(timeout=30)
    assert fleet.ledger.queries.counts().get("waiting", 0) > 50
