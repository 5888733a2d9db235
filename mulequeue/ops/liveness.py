"""Touch a file while a worker's consumer runs, for the probes of containers.

Celery sends a heartbeat every two seconds from the loop that also receives messages. With
``MULEQUEUE_LIVENESS_FILE`` set, each heartbeat sets the file's time of change. A probe compares it
with the clock, in milliseconds; ``celery inspect ping`` starts a Python process each time.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from celery.signals import heartbeat_sent, worker_shutdown

VARIABLE = "MULEQUEUE_LIVENESS_FILE"


def connect() -> None:
    """Connect the file that the variable names, if it is set, to the worker's signals."""
    if os.environ.get(VARIABLE):
        heartbeat_sent.connect(touch)
        worker_shutdown.connect(remove)


def touch(**_: Any) -> None:
    Path(os.environ[VARIABLE]).touch()


def remove(**_: Any) -> None:
    """Remove the file, so that a stopped worker is not taken for a running one."""
    Path(os.environ[VARIABLE]).unlink(missing_ok=True)
