"""A Celery worker with mulequeue's recommended settings and without mulequeue.

``python -m benchmarks.plain_app`` and not the program ``celery``, which loads the commands of every
installed package, and mulequeue with them.
"""

import runpy
from importlib.util import find_spec
from pathlib import Path

from celery import Celery

_spec = find_spec("mulequeue")
assert _spec is not None
assert _spec.origin is not None
# By its path: importing it would import the package, which must not be here.
_settings = runpy.run_path(str(Path(_spec.origin).with_name("recommended.py")))

app = Celery("plain")
app.conf.update({name: value for name, value in _settings.items() if not name.startswith("_")})
app.conf.worker_consumer = "celery.worker.consumer:Consumer"

if __name__ == "__main__":
    app.Worker(hostname="plain@bench", concurrency=2, loglevel="INFO").start()
