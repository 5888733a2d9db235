"""A Celery worker with mulequeue's recommended settings and without mulequeue.

It is started with ``python -m benchmarks.plain_app``, because the program ``celery`` loads the
commands of all installed packages, including mulequeue's.
"""

import runpy
from importlib.util import find_spec
from pathlib import Path

from celery import Celery

_spec = find_spec("mulequeue")
assert _spec is not None
assert _spec.origin is not None
# Loaded by its path, because an import would import the package.
_settings = runpy.run_path(str(Path(_spec.origin).with_name("recommended.py")))

app = Celery("plain")
app.conf.update({name: value for name, value in _settings.items() if not name.startswith("_")})
app.conf.worker_consumer = "celery.worker.consumer:Consumer"

if __name__ == "__main__":
    app.Worker(hostname="plain@bench", concurrency=2, loglevel="INFO").start()
