"""What Celery's signals start in a worker: the checks at its start, and the liveness file of containers.

Celery sends a heartbeat every two seconds from the loop that also receives messages. With
``MULEQUEUE_LIVENESS_FILE`` set, each heartbeat sets the file's time of change. A probe compares it
with the clock, in milliseconds; ``celery inspect ping`` starts a Python process each time.
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
    """Remove the file, so that a stopped worker is not taken for a running one."""
    Path(os.environ[LIVENESS_VARIABLE]).unlink(missing_ok=True)


if os.environ.get(LIVENESS_VARIABLE):
    signals.heartbeat_sent.connect(touch)
    signals.worker_shutdown.connect(remove)


@signals.worker_ready.connect
def check_at_start(sender: Any = None, **_: Any) -> None:
    """Start the checks of the worker that has become ready.

    They are imported here, because only workers need them.
    """
    from mulequeue.ops.health import warn_at_start
    from mulequeue.settings import Settings

    try:
        settings = Settings.load(sender.app)
    except ConfigurationError:
        return  # the watchdog has logged it
    warn_at_start(sender.app, settings)
