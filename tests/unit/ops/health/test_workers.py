"""The doctor's findings about workers."""

from __future__ import annotations

import pytest

from mulequeue.ops.health.redis_server import clock_skew
from mulequeue.ops.health.workers import WorkerSurvey, worker_clocks, worker_presence

QUEUES = {"w@a": {"celery"}}


@pytest.mark.parametrize(
    ("seen", "level", "words"),
    [
        (WorkerSurvey(), "error", "No worker answers"),
        (WorkerSurvey(queues=QUEUES), "ok", "1 worker: w@a"),
        (WorkerSurvey(clocks={"w@a": 0.0}), "warning", "remote control is disabled there"),
        (
            WorkerSurvey(has_remote_control=False, clocks={"w@a": 0.0}),
            "warning",
            "queues are unknown",
        ),
        (WorkerSurvey(has_remote_control=False), "warning", "No worker sends heartbeats"),
    ],
)
def test_no_answer_is_an_error_only_if_one_was_expected(
    seen: WorkerSurvey, level: str, words: str
) -> None:
    """No answer is an error only if remote control is enabled and no heartbeat was heard."""
    finding = worker_presence(seen, "celery -A proj worker", "p,w")

    assert level == finding.level
    assert words in finding.text


@pytest.mark.parametrize(
    ("clocks", "level", "words"),
    [
        ({"w@a": 0.1, "w@b": -1.9}, "ok", "2 workers agree"),
        ({"w@a": 0.1, "w@b": -3.0}, "warning", "w@b (-3.0 s)"),
        ({}, "ok", "clocks are unknown"),
    ],
)
def test_a_worker_s_clock_is_redis_clock(clocks: dict[str, float], level: str, words: str) -> None:
    """A difference above two seconds is a warning; without heartbeats the clocks are unknown."""
    finding = worker_clocks(WorkerSurvey(queues=QUEUES, clocks=clocks))

    assert level == finding.level
    assert words in finding.text


@pytest.mark.parametrize(
    ("offset", "level"), [(0.5, "ok"), (-2.5, "warning"), (59.0, "warning"), (-61.0, "error")]
)
def test_this_machine_s_clock_is_redis_clock(offset: float, level: str) -> None:
    """A difference above two seconds is a warning, above a minute an error."""
    assert level == clock_skew(offset).level
