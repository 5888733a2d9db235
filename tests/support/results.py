"""Results that are collected after their Redis is gone."""

from __future__ import annotations

from typing import Any


def forget_results(app: Any) -> None:
    """Let the app's results go in peace.

    Celery unsubscribes when a result object is collected, whenever that is. With its Redis stopped it
    would try to reconnect for minutes, in the middle of another test.
    """
    consumer = getattr(app.backend, "result_consumer", None)
    if consumer is not None:
        consumer.stop()
        consumer.cancel_for = lambda _task_id: None
