"""The Celery app of a user whose chains go on with a task of their own: it writes down when.

``celery -A benchmarks.marking worker``: mulequeue's tasks, ``mark``, and a ``noop`` to compare with.
"""

import os
import time
from typing import Any

from celery import Celery
from redis import Redis

from mulequeue import generate  # noqa: F401  # what the worker runs

app = Celery("marking")
app.config_from_object("mulequeue.recommended")
_redis = Redis.from_url(os.environ["BENCH_REDIS"])


@app.task(ignore_result=True)
def mark(outcome: dict[str, Any], name: str) -> None:
    """The next task of a chain: when it ran, for which generation."""
    _redis.rpush(f"marks:{name}", f"{outcome['remote_id']} {time.time()}")


@app.task
def noop(value: Any = None) -> Any:
    """As little as a Celery task can do."""
    return value
