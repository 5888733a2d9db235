"""Measure how long finished generations wait for their download while others are still submitted.

A default worker (no ``-c``, no ``-Q``) creates and stores a large number of generations of 5 s ± 2, each a
file of 200 KiB: as one ``generate_many``, and as a group of chains ``generate | download`` whose messages are
all in the queue from the start. The wait is the time from the outcome in the ledger to the stored file.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.figures import percentile
from benchmarks.fleet import Fleet, run_fleet, wait_for
from benchmarks.pictures import write_png
from benchmarks.report import Report
from benchmarks.server import BenchServer, Plan
from mulequeue.ledger import Ledger, Record
from mulequeue.ledger.timeline import steps_of
from mulequeue.local.processes import temporary_folder
from mulequeue.settings import Settings

COUNT, SECONDS, FILE_BYTES = 1000, (3.0, 7.0), 200 * 1024
_MOST_SECONDS = 600
_SEND = """
from benchmarks.marking import app
from celery import group
from mulequeue import download, generate, generate_many
model, inputs = "alibaba/wan2.6-t2i", [{"prompt": f"A mule carries parcel {n}", "n": 1} for n in range(%d)]
"""
_WAYS = {
    "generate_many": "generate_many(model, inputs).delay()",
    "chains": "group(generate.s(model, item) | download.s() for item in inputs).apply_async()",
}


def run(*, count: int = COUNT) -> Report:
    """Measure both ways, each on an empty fleet."""
    with temporary_folder() as folder:
        write_png(Path(folder, "asset.png"), FILE_BYTES)
        server = BenchServer(Plan(seconds=SECONDS, files=folder))
        try:
            rows = [_measure(server, name, count) for name in _WAYS]
        finally:
            server.stop()
    ratios = {f"{row['sent as']}, wait p99 / 10 s": row["wait_p99_seconds"] / 10 for row in rows}
    return Report(name="starve", rows=rows, ratios=ratios)


def _measure(server: BenchServer, name: str, count: int) -> dict[str, Any]:
    with run_fleet(server.url) as fleet:
        fleet.worker("worker", app="benchmarks.marking")
        started = time.time()
        _send(fleet, name, count)
        wait_for(lambda: _stored(fleet) >= count, _MOST_SECONDS, f"{count} files")
        steps = [
            {step.name: step.at for step in steps_of(record)} for record in _records(fleet, count)
        ]
    waits = [item["downloaded"] - item["settled"] for item in steps]
    return {
        "sent as": name,
        "last_create_seconds": max(item["submitted"] for item in steps) - started,
        "first_file_seconds": min(item["downloaded"] for item in steps) - started,
        "wall_seconds": max(item["downloaded"] for item in steps) - started,
        "wait_p50_seconds": percentile(waits, 50),
        "wait_p99_seconds": percentile(waits, 99),
        "wait_max_seconds": max(waits),
    }


def _send(fleet: Fleet, name: str, count: int) -> None:
    code = _SEND % count + _WAYS[name]
    environment = {**os.environ, **fleet.env}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def _stored(fleet: Fleet) -> int:
    return fleet.counts().get("downloaded", 0)


def _records(fleet: Fleet, count: int) -> list[Record]:
    ledger = Ledger.of(Settings(redis_url=fleet.url))
    found = ledger.queries.records(_task_ids(fleet))
    assert len(found) == count
    return [record for record in found if record is not None]


def _task_ids(fleet: Fleet) -> list[str]:
    """Return the task ids of all generations in the ledger."""
    prefix = b"mulequeue:{default}:record:"
    return [key.removeprefix(prefix).decode() for key in fleet.redis.scan_iter(prefix + b"*")]
