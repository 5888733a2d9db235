"""A Celery app whose chains continue with a task that records the time.

``celery -A benchmarks.marking worker`` runs mulequeue's tasks, ``mark``, and ``noop`` for comparison.
"""

import os
import time
from typing import Any

from celery import Celery
from redis import Redis

from mulequeue import generate  # noqa: F401  # registers the tasks of the worker

app = Celery("marking")
app.config_from_object("mulequeue.recommended")
_redis = Redis.from_url(os.environ["BENCH_REDIS"])


@app.task(ignore_result=True)
def mark(outcome: dict[str, Any], name: str) -> None:
    """Record the generation and the time, as the next task of a chain."""
    _redis.rpush(f"marks:{name}", f"{outcome['remote_id']} {time.time()}")


@app.task
def noop(value: Any = None) -> Any:
    """Do nothing: the minimum of a Celery task."""
    return value
