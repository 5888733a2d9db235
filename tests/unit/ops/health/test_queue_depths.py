"""The number of messages in the broker's queues."""

from __future__ import annotations

import pytest
from celery import Celery
from support.ports import free_port

from mulequeue.ops.health.workers import queue_depths
from mulequeue.settings import Settings


@pytest.mark.parametrize("scheme", ["amqp", "redis"])
def test_a_broker_that_is_away_has_no_empty_queues(scheme: str) -> None:
    """Nothing is reported of a queue that could not be read; 0 would say that it is empty."""
    app = Celery("away", broker=f"{scheme}://127.0.0.1:{free_port()}//", set_as_current=False)

    assert {} == queue_depths(app, Settings())()


def test_a_queue_that_does_not_exist_is_empty() -> None:
    """A broker may delete a queue while nothing is in it."""
    app = Celery("empty", broker="memory://", set_as_current=False)
    app.conf.task_default_queue = (
        "never-declared"  # the broker is this process, with the queues of all tests
    )

    depths = queue_depths(app, Settings())()

    assert "never-declared" in depths
    assert {0} == set(depths.values())
