"""Connect the checks at start and the liveness file to Celery's signals."""

from __future__ import annotations

from typing import Any

from celery import signals

from mulequeue.errors import ConfigurationError
from mulequeue.ops import liveness

liveness.connect()


@signals.worker_ready.connect
def check_at_start(sender: Any = None, **_: Any) -> None:
    """Start the checks of the worker that has become ready.

    They are imported here, because only workers need them.

    :param sender: the worker's consumer.
    """
    from mulequeue.ops.health.start_checks import warn_at_start
    from mulequeue.settings import Settings

    try:
        settings = Settings.load(sender.app)
    except ConfigurationError:
        return  # the watchdog has logged it
    warn_at_start(sender.app, settings)
