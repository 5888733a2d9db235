"""Measure the cost of a large chord and of a large batch, compared with messages that do nothing.

2,000 prompts, each ``generate | download``, in one chord, and the same as ``generate_many``, on a worker
with four processes; a generation takes 5 s ± 2 and makes a file of 200 KiB.

* **ideal**: the time from the start to the arrival of the last create, plus the longest generation.
* **CPU**: CPU time of all worker processes from the first message to the chord's body, per member.
  A member of the chord is three messages (``generate``, its wake, ``download``), so the chord of no-ops
  has chains of three. It runs before and after, and the mean is used, because the speed of a shared
  machine varies. A member of the batch is two messages, and is compared with the same three.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.fleet import Fleet, run_fleet
from benchmarks.pictures import write_png
from benchmarks.report import Report
from benchmarks.server import BenchServer, Plan, finish_of
from mulequeue.local.processes import temporary_folder

COUNT, SECONDS, FILE_BYTES = 2000, (3.0, 7.0), 200 * 1024
_SEND = """
import time
from benchmarks.marking import app, noop
from celery import chain, chord
from mulequeue import download, generate, generate_many
model, numbers = 'alibaba/wan2.6-t2i', range(%d)
inputs = [{'prompt': f'A mule carries parcel {number}', 'n': 1} for number in numbers]
signature = %s
started = time.time()
result = signature.apply_async()
print(started)
# By its id only: a result with parents reads all of them at every interval.
app.AsyncResult(result.id).get(timeout=300, interval=0.02)
print(time.time())
"""
_CHORD = "chord([generate.s(model, item, on_failure='return') | download.s() for item in inputs], noop.s())"
_BATCH = "generate_many(model, inputs)"
_NOOP = "chord([chain(noop.s(number), noop.s(), noop.s()) for number in numbers], noop.s())"


def run(*, count: int = COUNT) -> Report:
    """Measure our chord between two runs of messages that do nothing."""
    with temporary_folder() as folder:
        write_png(Path(folder, "asset.png"), FILE_BYTES)
        plan = Plan(seconds=SECONDS, files=folder)
        before = _measure(plan, "no-op messages", _NOOP, count)
        ours = [_measure(plan, *pair, count) for pair in (("chord", _CHORD), ("batch", _BATCH))]
        after = _measure(plan, "no-op messages, again", _NOOP, count)
    noop = (before["cpu_ms_per_member"] + after["cpu_ms_per_member"]) / 2
    ratios = {}
    for row in ours:
        ratios[f"{row['messages']}: wall / ideal"] = row["wall_seconds"] / row["ideal_seconds"]
        ratios[f"{row['messages']}: cpu / no-op messages"] = row["cpu_ms_per_member"] / noop
    return Report(name="fanout", rows=[*ours, before, after], ratios=ratios)


def _against_ideal(started: float, creates: list[tuple[str, float]]) -> dict[str, float]:
    longest = max(finish_of(remote_id) - at for remote_id, at in creates)
    last = max(at for _, at in creates) - started
    return {"last_create_seconds": last, "ideal_seconds": last + longest}


def _measure(plan: Plan, name: str, code: str, count: int) -> dict[str, Any]:
    server = BenchServer(plan)
    try:
        return _measure_on(server, name, code, count)
    finally:
        server.stop()


def _measure_on(server: BenchServer, name: str, code: str, count: int) -> dict[str, Any]:
    with run_fleet(server.url) as fleet:
        worker = fleet.worker("worker", "-c", "4", app="benchmarks.marking")
        meter, commands = fleet.meter(worker), fleet.commands()
        started, ended = _send(fleet, _SEND % (count, code))
        meter.stop()
        row = {
            "messages": name,
            "wall_seconds": ended - started,
            "cpu_ms_per_member": 1000 * meter.cpu / count,
            "redis_ms_per_member": 1000 * meter.redis_cpu / count,
            "redis_commands_per_member": (fleet.commands() - commands) / count,
            "redis_connections": fleet.connections(),
        }
    if not server.created:
        return row
    return row | _against_ideal(started, server.creates()) | {"polls": server.polls / count}


def _send(fleet: Fleet, code: str) -> tuple[float, float]:
    environment = {**os.environ, **fleet.env}
    sent = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    if sent.returncode:
        raise SystemExit(sent.stderr[-2000:] + fleet.log("worker")[-2000:])
    started, ended = sent.stdout.split()
    return float(started), float(ended)
