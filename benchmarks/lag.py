"""Measure the time from the end of a generation to the next task of its chain, and its cost in polls.

Chains ``generate | mark`` whose generations take 5 to 30 seconds run at the same time in four ways:
checked every 20 s (as the API's command line does), checked every 5 s, checked at the intervals that
mulequeue learned, and with webhooks plus checks as backstop. Lag is the time from the server's first
"completed" to the start of the next task; polls are counted by the server.

The intervals are learned before the measurement, from as many generations as a row has. (Until about
twenty durations are known the model's intervals apply: 5 s to the first check, growing to 8 s.) As at
the API, the answers have the times of creation and end.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections import defaultdict
from contextlib import ExitStack
from typing import Any

import requests

from benchmarks.figures import percentile
from benchmarks.fleet import Fleet, run_fleet, wait_for
from benchmarks.report import Report
from benchmarks.server import BenchServer, Plan, finish_of, number_of
from mulequeue.emulator.webhook_endpoints import Endpoint
from mulequeue.engine.poll.poll_plan import REFRESH_SECONDS

COUNT, SECONDS = 200, (5.0, 30.0)
READERS = 20
CADENCES: dict[str, float | None] = {"every 20 s": 20.0, "every 5 s": 5.0, "our cadence": None}
SECRET = "whsec_" + base64.b64encode(b"the secret of a benchmark").decode()
_SEND = """
from benchmarks.marking import app, mark
from mulequeue import generate
name, count, interval = %r, %d, %r
for number in range(count):
    first = generate.s("alibaba/wan2.6-t2i", {"prompt": f"{name} {number}", "n": 1}, poll_interval=interval)
    (first | mark.s(name)).apply_async()
"""


def run(*, count: int = COUNT) -> Report:
    """Measure all four ways at once, the webhooks on a separate fleet."""
    plans = [Plan(seconds=SECONDS, seed=seed) for seed in (1, 2)]
    polled, notifying = (BenchServer(plan) for plan in plans)
    try:
        with ExitStack() as stack:
            fleet = stack.enter_context(run_fleet(polled.url))
            webhook_fleet = stack.enter_context(run_fleet(notifying.url))
            webhook_fleet.env["MULEQUEUE_WEBHOOK_SECRET"] = SECRET
            fleet.worker("worker", "-c", "2", app="benchmarks.marking")
            webhook_fleet.worker("worker", "-c", "2", app="benchmarks.marking")
            stack.enter_context(_Webhooks(webhook_fleet, notifying))
            _learn_intervals(fleet, count)
            for name, interval in CADENCES.items():
                _send(fleet, name, count, interval)
            _send(webhook_fleet, "webhooks", count, None)
            rows = [_row(fleet, polled, name, count) for name in CADENCES]
            rows.append(_row(webhook_fleet, notifying, "webhooks", count))
    finally:
        polled.stop()
        notifying.stop()
    return _report(rows)


def _send(fleet: Fleet, name: str, count: int, interval: float | None) -> None:
    code = _SEND % (name, count, interval)
    environment = {**os.environ, **fleet.env}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def _learn_intervals(fleet: Fleet, count: int) -> None:
    """Run a batch, and wait until all processes of the worker have read its durations."""
    _send(fleet, "learning", count, None)
    wait_for(lambda: fleet.redis.llen("marks:learning") >= count, 120, "the learned durations")
    expired_at = time.monotonic() + REFRESH_SECONDS
    wait_for(lambda: time.monotonic() > expired_at, 60, "the cached durations to expire")
    _send(fleet, "readers", READERS, None)
    wait_for(lambda: fleet.redis.llen("marks:readers") >= READERS, 120, "the readers")


def _row(fleet: Fleet, server: BenchServer, name: str, count: int) -> dict[str, Any]:
    key = f"marks:{name}"
    wait_for(lambda: fleet.redis.llen(key) >= count, 120, f"the chains {name}")
    lags, numbers = [], set()
    for line in fleet.redis.lrange(key, 0, -1):  # type: ignore[union-attr]
        remote_id, at = line.decode().split()
        lags.append(float(at) - finish_of(remote_id))
        numbers.add(number_of(remote_id))
    polls = sum(number in numbers for number, _ in server.checks())
    return {
        "told": name,
        "lag_mean_seconds": sum(lags) / len(lags),
        "lag_p50_seconds": percentile(lags, 50),
        "lag_p99_seconds": percentile(lags, 99),
        "polls_per_generation": polls / len(lags),
    }


def _report(rows: list[dict[str, Any]]) -> Report:
    by = {row["told"]: row for row in rows}
    ours, fixed = by["our cadence"], by["every 5 s"]
    ratios = {
        "mean lag, our cadence / every 5 s": ours["lag_mean_seconds"] / fixed["lag_mean_seconds"],
        "polls, our cadence / every 5 s": (
            ours["polls_per_generation"] / fixed["polls_per_generation"]
        ),
    }
    return Report(name="lag", rows=rows, ratios=ratios)


class _Webhooks:
    """Runs ``mulequeue webhooks`` and sends it a signed event at the end of each generation."""

    def __init__(self, fleet: Fleet, server: BenchServer) -> None:
        command = [sys.executable, "-m", "mulequeue", "webhooks", "--port", "0"]
        fleet.start("webhooks", command, ready=b"mulequeue webhooks on http")
        url = fleet.log("webhooks").partition("webhooks on ")[2].split()[0]
        self._endpoint = Endpoint(url=url, secret=SECRET)
        self._server, self._notified = server, defaultdict[str, bool](bool)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._session = requests.Session()
        # After a first event mulequeue relies on webhooks.
        self._notify(str(uuid.uuid4()))

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.02):
            now = time.time()
            for remote_id, _ in self._server.creates():
                if not self._notified[remote_id] and finish_of(remote_id) <= now:
                    self._notified[remote_id] = True
                    self._notify(remote_id)

    def _notify(self, remote_id: str) -> None:
        payload = {
            "task_info": {"id": remote_id, "status": "completed"},
            "images": [f"{self._server.url}/files/asset.png"],
        }
        data = {"vendor": "alibaba", "model_name": "wan2.6-t2i", "payload": payload}
        event = {"id": f"evt_{uuid.uuid4().hex}", "type": "task.succeeded", "data": data}
        body = json.dumps(event).encode()
        headers = self._endpoint.headers(f"whd_{uuid.uuid4().hex}", time.time(), body)
        self._session.post(self._endpoint.url, data=body, headers=headers, timeout=10)
