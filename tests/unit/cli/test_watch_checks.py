"""The hint about queues without a worker."""

from __future__ import annotations

import pytest
from celery import Celery

from mulequeue.cli.watch_checks import missing_workers

ALL = {"celery", "mulequeue.poll", "mulequeue.wake"}


@pytest.mark.parametrize(
    ("consumed", "text"),
    [
        (ALL, None),
        (
            ALL - {"celery"},
            "No worker consumes the queue celery. Start one in another terminal: "
            "celery -A proj worker -Q celery",
        ),
        (
            {"celery"},
            "No worker consumes the queue mulequeue.poll or mulequeue.wake. Start one in another "
            "terminal: celery -A proj worker -Q mulequeue.poll,mulequeue.wake",
        ),
        (
            set(),
            "No worker answers. Start one in another terminal: celery -A proj worker\n"
            "Or run it without workers: mulequeue cancel b1, then add --local.",
        ),
    ],
    ids=["all", "no-task-queue", "no-internal-queue", "no-worker"],
)
def test_queues_without_a_worker_are_named(consumed: set[str], text: str | None) -> None:
    """The message names the queues and the command that starts a worker for them."""
    app = Celery("proj", broker="memory://", set_as_current=False)

    assert text == missing_workers(app, consumed, command="celery -A proj worker", name="b1")
