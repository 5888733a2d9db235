"""Run the checks at the start of a worker, and update its liveness file. Celery's signals call both.

Celery sends a heartbeat every two seconds from the loop that also receives messages. If
``MULEQUEUE_LIVENESS_FILE`` names a file, each heartbeat sets the file's modification time. A liveness probe of a
container compares that time with the clock, which takes milliseconds; ``celery inspect ping`` starts a Python
process each time.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from celery import signals

from mulequeue.errors import ConfigurationError

LIVENESS_VARIABLE = "MULEQUEUE_LIVENESS_FILE"


def touch(**_: Any) -> None:
    Path(os.environ[LIVENESS_VARIABLE]).touch()


def remove(**_: Any) -> None:
    """Remove the liveness file, so that a probe does not take a stopped worker for a running one."""
    Path(os.environ[LIVENESS_VARIABLE]).unlink(missing_ok=True)


if os.environ.get(LIVENESS_VARIABLE):
    signals.heartbeat_sent.connect(touch)
    signals.worker_shutdown.connect(remove)


@signals.worker_ready.connect
def check_at_start(sender: Any = None, **_: Any) -> None:
    """Start the checks in a worker that has become ready.

    The function imports them, because only workers need them.
    """
    from mulequeue.ops.health import warn_at_start
    from mulequeue.settings import Settings

    try:
        settings = Settings.load(sender.app)
    except ConfigurationError:
        return  # the watchdog has logged this error
    warn_at_start(sender.app, settings)
