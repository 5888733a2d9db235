"""Measure the cost of a large chord, compared with the same number of messages that do nothing.

2,000 prompts, each ``generate | download``, in one chord, on a worker with four processes; a
generation takes 5 s ± 2 and makes a file of 200 KiB.

* **ideal**: the time from the start to the arrival of the last create, plus the longest generation.
* **CPU**: CPU time of all worker processes from the first message to the chord's body, per member.
  A member is three messages (``generate``, its wake, ``download``), so the chord of no-ops has chains
  of three. It runs before and after, and the mean is used, because the speed of a shared machine
  varies.
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
from mulequeue import download, generate
members = [%s for number in range(%d)]
started = time.time()
result = chord(members, %s).apply_async()
print(started)
# By its id only: a result with parents reads all of them at every interval.
app.AsyncResult(result.id).get(timeout=%d, interval=0.02)
print(time.time())
"""
_OURS = (
    "generate.s('alibaba/wan2.6-t2i', {'prompt': f'A mule carries parcel {number}', 'n': 1},"
    " on_failure='return') | download.s()"
)
_NOOP = "chain(noop.s(number), noop.s(), noop.s())"


def run(*, count: int = COUNT) -> Report:
    """Measure our chord between two runs of messages that do nothing."""
    with temporary_folder() as folder:
        write_png(Path(folder, "asset.png"), FILE_BYTES)
        server = BenchServer(Plan(seconds=SECONDS, files=folder))
        try:
            before = _measure(server, "no-op messages", _NOOP, count)
            ours = _measure(server, "mulequeue", _OURS, count)
            ours |= _against_ideal(ours, server.creates()) | {"polls": server.polls / count}
            after = _measure(server, "no-op messages, again", _NOOP, count)
        finally:
            server.stop()
    rows = [{key: row[key] for key in row if key != "started"} for row in (ours, before, after)]
    noop = (before["cpu_ms_per_member"] + after["cpu_ms_per_member"]) / 2
    ratios = {
        "wall / ideal": ours["wall_seconds"] / ours["ideal_seconds"],
        "cpu / no-op messages": ours["cpu_ms_per_member"] / noop,
    }
    return Report(name="fanout", rows=rows, ratios=ratios)


def _against_ideal(row: dict[str, Any], creates: list[tuple[str, float]]) -> dict[str, float]:
    longest = max(finish_of(remote_id) - at for remote_id, at in creates)
    last = max(at for _, at in creates)
    return {
        "last_create_seconds": last - row["started"],
        "ideal_seconds": last + longest - row["started"],
    }


def _measure(server: BenchServer, name: str, member: str, count: int) -> dict[str, Any]:
    with run_fleet(server.url) as fleet:
        worker = fleet.worker("worker", "-c", "4", app="benchmarks.marking")
        meter, commands = fleet.meter(worker), fleet.commands()
        started, ended = _send(fleet, _SEND % (member, count, "noop.s()", 300))
        meter.stop()
        return {
            "messages": name,
            "started": started,
            "wall_seconds": ended - started,
            "cpu_ms_per_member": 1000 * meter.cpu / count,
            "redis_ms_per_member": 1000 * meter.redis_cpu / count,
            "redis_commands_per_member": (fleet.commands() - commands) / count,
            "redis_connections": fleet.connections(),
        }


def _send(fleet: Fleet, code: str) -> tuple[float, float]:
    environment = {**os.environ, **fleet.env}
    sent = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    if sent.returncode:
        raise SystemExit(sent.stderr[-2000:] + fleet.log("worker")[-2000:])
    started, ended = sent.stdout.split()
    return float(started), float(ended)
