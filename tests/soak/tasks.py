"""The user's own task at the end of what the soak sends."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from celery import shared_task


@shared_task(name="soak.keep", acks_late=True, reject_on_worker_lost=True)
def keep(value: Any, order: str, path: str) -> None:
    """Append what came of an order to a file, in one write."""
    line = json.dumps({"order": order, "at": time.time(), "value": value}) + "\n"
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)
