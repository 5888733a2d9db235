"""The doctor's findings about the clocks of this machine and of the workers."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from celery import Celery

from mulequeue.ops.health import workers
from mulequeue.ops.health.redis_server import clock_offset, clock_skew


@pytest.mark.parametrize(("seconds", "level"), [(0, "ok"), (-30, "warning"), (3600, "error")])
def test_a_clock_that_is_wrong_is_told(redis_server: Any, seconds: int, level: str) -> None:
    """This machine's clock against Redis' own."""
    offset, _ = clock_offset(redis_server.client, lambda: time.time() + seconds)

    assert level == clock_skew(offset).level
    assert abs(offset - seconds) < 1


def test_a_worker_s_clock_is_heard_in_its_heartbeats(redis_server: Any) -> None:
    """A heartbeat contains the worker's time; the error of this machine's clock is subtracted."""
    app = Celery("proj", broker=redis_server.url, set_as_current=False)
    over = threading.Event()

    def beat() -> None:
        with app.connection_for_write() as connection:
            events = app.events.Dispatcher(connection, hostname="late@there")
            while not over.wait(0.05):
                events.send("worker-heartbeat", timestamp=time.time() - 60)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        heard = workers.read_clocks(
            app, {"late@there"}, offset=10.0, clock=lambda: time.time() + 10.0
        )
    finally:
        over.set()
        thread.join()
        app.close()

    finding = workers.worker_clocks(workers.WorkerSurvey(clocks=heard))
    assert "warning" == finding.level
    assert "late@there (-60." in finding.text
