"""Eight processes submit as fast as they can, and the API never creates more than was allowed in dollars.

The sum is that of what the emulator created.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from decimal import Decimal

from support.fleet import Fleet
from support.program import program_in
from support.waiting import wait_until

from mulequeue.ledger import outcome_of
from mulequeue.tasks.canvases import generate_many

USD = {
    "alibaba/qwen-image-max": Decimal("0.075"),
    "minimax/music-2.0/text-to-music": Decimal("0.03"),
    "carrothub/z-image-spicy": Decimal("0.013"),
}
FIELD = {"minimax/music-2.0/text-to-music": "lyrics_prompt"}
COUNT, LIMIT = 300, Decimal("2.00")
"""The limit is about a sixth of what all of them cost."""


def start(fleet: Fleet, name: str, model: str, count: int) -> None:
    field = FIELD.get(model, "prompt")
    inputs = [{field: f"{name} number {number}"} for number in range(count)]
    batch = generate_many(model, inputs, batch_id=name, download=False, poll_interval=0.2)
    batch.apply_async(ignore_result=True)


def wait_for(fleet: Fleet, name: str, count: int) -> None:
    def is_over() -> bool:
        batch = fleet.ledger.queries.batch(name)
        return batch is not None and batch.over == count

    wait_until(is_over, seconds=300, what=name)


def created_usd(fleet: Fleet) -> Decimal:
    """What the API would charge: its own count times the price."""
    prices = {f"/vendors/{path}": usd for path, usd in paths().items()}
    return sum((prices[it["api_path"]] for it in fleet.emulator.generations()), Decimal(0))


def paths() -> dict[str, Decimal]:
    from mulequeue import catalog

    return {catalog.find(name).path: usd for name, usd in USD.items()}


def test_the_api_never_creates_more_than_the_limit(make_fleet: Callable[..., Fleet]) -> None:
    """Not by a cent, at three prices, with creates that are refused or whose answer is lost."""
    fleet = make_fleet(
        min_seconds=0.0, max_seconds=0.2, celeryconfig=f"mulequeue_max_usd_per_day = {LIMIT}"
    )
    fleet.app.set_current()
    refused = {"contains": "7", "do": "status", "status": 422, "count": COUNT // 10}
    lost = {"contains": "9", "do": "drop_after", "count": 2}
    fleet.emulator.faults(creates=[refused, lost])
    workers = [fleet.worker("-c", "2", wait=False) for _ in range(4)]
    for worker in workers:
        worker.wait_ready()

    names = [f"batch-{index}" for index in range(len(USD))]
    for name, model in zip(names, USD, strict=True):
        start(fleet, name, model, COUNT // len(USD))
    for name in names:
        wait_for(fleet, name, COUNT // len(USD))
    assert 0 < created_usd(fleet) <= LIMIT

    fleet.emulator.reset_faults()  # what the refused ones gave back is available again
    start(fleet, "rest", "carrothub/z-image-spicy", COUNT // len(USD))
    wait_for(fleet, "rest", COUNT // len(USD))

    spent = created_usd(fleet)
    assert LIMIT - min(USD.values()) < spent <= LIMIT
    rows = list(csv.DictReader(io.StringIO(program_in(fleet)("spend", "--csv").stdout)))
    columns = ("estimated_usd", "charging_unknown_usd", "may_have_been_charged_usd")
    assert spent == sum(Decimal(row[column]) for row in rows for column in columns)
    assert set(USD) == {row["model"] for row in rows}
    records = [fleet.ledger.queries.record(task) for task in set(fleet.ledger.queries.task_ids())]
    errors = [outcome_of(it).error for it in records if it is not None and it.status == "failed"]
    over = [error for error in errors if error is not None and error.type == "BudgetExceeded"]
    assert over
    assert all(
        f"max_usd_per_day of profile default, which is {LIMIT} USD" in it.title for it in over
    )
    assert 0 == fleet.emulator.stats()["duplicates"]
