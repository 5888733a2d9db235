"""The standalone app: ``celery -A mulequeue worker``.

Nothing in the package imports this module: an app created later would take over the shared tasks
of the user's own app.
"""

from __future__ import annotations

from importlib.util import find_spec

from celery import Celery

app = Celery("mulequeue", include=["mulequeue.tasks"])
# A celeryconfig.py in the working directory is the user's; else the recommended settings stand.
app.config_from_object("celeryconfig" if find_spec("celeryconfig") else "mulequeue.recommended")
