"""The Celery app for projects that define none: ``celery -A mulequeue worker``.

The package does not import this module: an app created here would become the default app of the
shared tasks, in place of the user's app.
"""

from __future__ import annotations

from importlib.util import find_spec

from celery import Celery

app = Celery("mulequeue", include=["mulequeue.tasks"])
# The user's celeryconfig.py if it can be imported, else the recommended settings.
app.config_from_object("celeryconfig" if find_spec("celeryconfig") else "mulequeue.recommended")
