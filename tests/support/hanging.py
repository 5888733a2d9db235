"""A worker that stands still while it publishes a message."""

from __future__ import annotations

# Stands still while it publishes what follows a generation, before or after the message is out.
HANG = """
import pathlib, time
from celery import signals

def hang(moment):
    def handler(sender=None, **_):
        if pathlib.Path(f"hang-{moment}-{sender}").exists():
            pathlib.Path(f"hangs-{moment}").touch()
            time.sleep(600)
    return handler

before, after = hang("before"), hang("after")
signals.before_task_publish.connect(before)
signals.after_task_publish.connect(after)
"""
