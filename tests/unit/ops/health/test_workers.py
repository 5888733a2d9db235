"""What the doctor says of workers it has seen."""

from __future__ import annotations

import pytest

from mulequeue.ops.health.redis_server import clock_skew
from mulequeue.ops.health.workers import WorkerSurvey, alive, worker_clocks

QUEUES = {"w@a": {"celery"}}


@pytest.mark.parametrize(
    ("seen", "level", "words"),
    [
        (WorkerSurvey(), "error", "No worker answers"),
        (WorkerSurvey(queues=QUEUES), "ok", "1 worker: w@a"),
        (WorkerSurvey(clocks={"w@a": 0.0}), "warning", "remote control is off there"),
        (WorkerSurvey(has_remote_control=False, clocks={"w@a": 0.0}), "warning", "cannot be known"),
        (WorkerSurvey(has_remote_control=False), "warning", "No heartbeat was heard"),
    ],
)
def test_what_cannot_be_known_is_said_so(seen: WorkerSurvey, level: str, words: str) -> None:
    """Silence is an error only where an answer could have come."""
    finding = alive(seen, "celery -A proj worker", "p,w")

    assert level == finding.level
    assert words in finding.text


@pytest.mark.parametrize(
    ("clocks", "level", "words"),
    [
        ({"w@a": 0.1, "w@b": -1.9}, "ok", "2 workers agree"),
        ({"w@a": 0.1, "w@b": -3.0}, "warning", "w@b (-3.0 s)"),
        ({}, "ok", "not known"),
    ],
)
def test_a_worker_s_clock_is_redis_clock(clocks: dict[str, float], level: str, words: str) -> None:
    """Two seconds are too many; who sends no heartbeats is not known."""
    finding = worker_clocks(WorkerSurvey(queues=QUEUES, clocks=clocks))

    assert level == finding.level
    assert words in finding.text


@pytest.mark.parametrize(
    ("offset", "level"), [(0.5, "ok"), (-2.5, "warning"), (59.0, "warning"), (-61.0, "error")]
)
def test_this_machine_s_clock_is_redis_clock(offset: float, level: str) -> None:
    """Two seconds are too many, and a minute is an error."""
    assert level == clock_skew(offset).level
