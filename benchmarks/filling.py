"""Write many generations in flight into the ledger, without submitting them.

It makes the same two ledger calls as a submission: the intent, and the id with the parked message of
a chain ``generate | download``. Only the POST and the Celery message are left out.
"""

from __future__ import annotations

import multiprocessing
import random
import uuid
from functools import partial
from typing import Any

from benchmarks.fleet import KEY, MODEL
from benchmarks.server import make_id
from mulequeue import catalog
from mulequeue.ledger import Intent, Ledger
from mulequeue.settings import Settings

PROCESSES = 4


def fill(url: str, api: str, first: int, last: int, *, interval: float) -> None:
    """Write the records ``first`` to ``last`` (exclusive), due evenly over the next interval.

    :param interval: seconds between two status checks.
    """
    step = -(-(last - first) // PROCESSES)
    parts = [(start, min(start + step, last)) for start in range(first, last, step)]
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        pool.starmap(partial(_fill, url, api, interval), parts)


def _fill(url: str, api: str, interval: float, first: int, last: int) -> None:
    settings = Settings(api_key=KEY, base_url=api, redis_url=url)
    ledger, profile, model = Ledger.of(settings), settings.profile(), catalog.find(MODEL)
    for number in range(first, last):
        prompt = f"A mule carries parcel number {number} over the pass at dawn, oil on canvas"
        intent = Intent(
            task_id=task_id_of(number),
            run="bench",
            profile=profile,
            path=model.api_path.removeprefix("/vendors/"),
            signature={},  # replaced by the parked one below
            digest="0" * 16,
            model=model.name,
            kind=model.kind,
            label=prompt[:60],
            interval=interval,
        )
        ledger.generations.begin_delivery(intent, submit_seconds=60)
        ledger.generations.record_id(
            intent,
            make_id(number, None),
            parked=_signature(number),
            first_poll_seconds=random.uniform(0.5, interval),
            max_wait_seconds=24 * 3600,
        )


def task_id_of(number: int) -> str:
    """Return the task id of a record number."""
    return str(uuid.UUID(int=number + 2**64, version=4))


def _signature(number: int) -> dict[str, Any]:
    task_id = task_id_of(number)
    download = {
        "task": "mulequeue.download",
        "args": [],
        "kwargs": {},
        "options": {"task_id": str(uuid.uuid4()), "reply_to": str(uuid.uuid4())},
        "subtask_type": None,
        "immutable": False,
    }
    options = {
        "task_id": task_id,
        "root_id": task_id,
        "parent_id": None,
        "chain": [download],
        "reply_to": str(uuid.uuid4()),
        "origin": "gen1@bench",
        "queue": "mulequeue.wake",
        "priority": 0,
    }
    return {
        "task": "mulequeue.generate",
        "args": [MODEL, {}],
        "kwargs": {"on_failure": "return", "mulequeue_epoch": "000000000000"},
        "options": options,
        "subtask_type": None,
        "immutable": False,
    }
