"""Point the app and the environment of the test process at the Redis, emulator and folder of the tests."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from celery.worker import state

from mulequeue.engine.worker_context import _contexts, worker_context
from mulequeue.settings import Settings
from mulequeue.settings.profiles import PROFILE_LIMITS
from mulequeue.testing.fast_timeouts import fast_timeouts
from mulequeue.testing.guard import KEY, refuse_real_api
from mulequeue.transfer.notifications import new_secret

_RUNNING_SECONDS = 5.0


class Fleet:
    """The settings of the tests, applied to the user's app.

    :param app: the user's Celery app; its broker, result backend, storage and keys are replaced.
    :param emulator_url: URL of the emulated API.
    :param storage: the folder in which ``download`` stores files.
    """

    def __init__(self, app: Any, *, emulator_url: str, storage: Path) -> None:
        self.app = app
        self.storage = storage
        self.secret = new_secret()
        self._emulator_url = emulator_url
        self._is_on_redis = False

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Point the app and the environment at the emulator, and shorten waits, while the block runs.

        :raises ConfigurationError: the environment points at the real API.
        """
        refuse_real_api()
        settings = self._settings()
        changes = {f"mulequeue_{name}": value for name, value in settings.items()}
        changes |= {"mulequeue_profiles": self._profiles(), "mulequeue_storage_options": {}}
        environment = {f"MULEQUEUE_{name.upper()}": str(value) for name, value in settings.items()}
        environment |= {"MULEROUTER_BASE_URL": self._emulator_url, "MULEROUTER_API_KEY": KEY}
        with patch.dict(os.environ, environment), _configured(self.app, changes), fast_timeouts():
            yield

    @contextmanager
    def on_redis(self, url: str) -> Iterator[None]:
        """Use this Redis as the app's broker, result backend and ledger while the block runs."""
        with (
            patch.dict(os.environ, MULEQUEUE_REDIS_URL=url),
            _configured(self.app, _celery(url)),
        ):
            self._is_on_redis = True
            yield
            self._is_on_redis = False
            # A result that is garbage-collected later would send a command to the stopped Redis.
            consumer = getattr(self.app.backend, "result_consumer", None)
            if consumer is not None:
                consumer.cancel_for = lambda task_id: None

    def _settings(self) -> dict[str, Any]:
        return {
            "api_key": KEY,
            "base_url": self._emulator_url,
            "storage": str(self.storage),
            "notification_secret": self.secret,
            "allow_private_addresses": True,
        }

    def _profiles(self) -> dict[str, Mapping[str, Any]]:
        """Return the user's profiles by name, with the emulator's address and the tests' key."""
        profiles = Settings.load(self.app).profiles
        address = {"base_url": self._emulator_url, "api_key": KEY}
        kept = (*PROFILE_LIMITS, "models")
        return {
            name: {**{key: profile[key] for key in kept if key in profile}, **address}
            for name, profile in profiles.items()
        }

    def clear(self) -> None:
        """In :meth:`on_redis`, delete all messages and records, wait up to 5 s for tasks, and delete again."""
        if not self._is_on_redis:
            return
        ctx = worker_context(self.app)
        self._drop(ctx.ledger.redis)
        ends = time.monotonic() + _RUNNING_SECONDS
        while state.reserved_requests and time.monotonic() < ends:
            time.sleep(0.01)
        self._drop(ctx.ledger.redis)
        ctx.state.clear()  # the state of the API, as this process saw it: the emulator is reset as well

    def clear_files(self) -> None:
        """Delete the files that ``download`` stored."""
        for path in self.storage.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _drop(self, redis: Any) -> None:
        # Celery declares its queues once per connection, so the bindings must stay.
        kept = b"_kombu.binding."
        keys = [key for key in redis.scan_iter(count=1000) if not key.startswith(kept)]
        if keys:
            redis.delete(*keys)


def _celery(redis_url: str) -> dict[str, Any]:
    return {
        "mulequeue_redis_url": redis_url,
        "broker_url": redis_url,
        "broker_read_url": redis_url,
        "broker_write_url": redis_url,
        "broker_transport_options": {},
        "broker_use_ssl": False,
        "broker_connection_retry_on_startup": True,
        "result_backend": redis_url,
        "result_backend_transport_options": {},
        "redis_backend_use_ssl": None,
        "task_always_eager": False,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
    }


@contextmanager
def _configured(app: Any, changes: Mapping[str, Any]) -> Iterator[None]:
    missing = object()
    # With a namespace, Celery reads the prefixed name first.
    prefix = getattr(app.conf, "prefix", None) or ""
    names = {name: value for key, value in changes.items() for name in _names(key, prefix)}
    previous = {name: app.conf.changes.get(name, missing) for name in names}
    app.conf.changes.update(names)
    _forget_connections(app)
    try:
        yield
    finally:
        _forget_connections(app)
        for name, value in previous.items():
            app.conf.changes.pop(name, None)
            if value is not missing:
                app.conf.changes[name] = value


def _names(key: str, prefix: str) -> list[str]:
    return [key, prefix + (key.upper() if prefix.isupper() else key)] if prefix else [key]


def _forget_connections(app: Any) -> None:
    """Drop the app's connections, so that it connects to the newly configured broker, backend and ledger."""
    found = _contexts.pop(app, None)
    if found is not None:
        found.close()
    app._pool = None
    app.amqp._producer_pool = None
    app._backend_cache = None
    app._local.__dict__.pop("backend", None)
