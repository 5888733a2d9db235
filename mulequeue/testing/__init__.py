"""The parts of the pytest fixtures ``mulequeue_…``; the plugin itself is ``pytest_mulequeue``.

A test gets a separate Redis, the emulated API and a real Celery worker that runs the user's app in
threads of the test process. The worker starts quickly, and its tasks see the test's patches and database.
"""

from mulequeue.testing.fast_timeouts import fast_timeouts
from mulequeue.testing.fleet import Fleet
from mulequeue.testing.guard import KEY, refuse_real_api
from mulequeue.testing.notification_recorder import Notification, Notifications
from mulequeue.testing.scripted_emulator import ScriptedEmulator
from mulequeue.testing.worker import Worker

__all__ = [
    "KEY",
    "Fleet",
    "Notification",
    "Notifications",
    "ScriptedEmulator",
    "Worker",
    "fast_timeouts",
    "refuse_real_api",
]
