"""The shared objects of one process: settings, ledger, event loop, connections, publisher."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from kombu.exceptions import EncodeError
from redis.exceptions import RedisError

from mulequeue.engine import tracing
from mulequeue.engine.counters import Meter
from mulequeue.engine.current_app import current_app
from mulequeue.engine.queues import (
    MAX_ELSEWHERE,
    NULL_DISPATCHER,
    countdown,
    elsewhere_delay,
    internal_queue,
)
from mulequeue.engine.redis_retry import RedisAvailability
from mulequeue.engine.submit.park import upgrade_signature
from mulequeue.engine.tracing import sentry
from mulequeue.errors import ConfigurationError, MuleQueueError
from mulequeue.ledger import Effects, Ledger, PollMessage, Wake, unpack
from mulequeue.settings import DEFAULT_REDIS_URL, Settings
from mulequeue.settings.redaction import redact

if TYPE_CHECKING:
    from mulequeue.api.status_checks import StatusClient

logger = logging.getLogger("mulequeue")
T = TypeVar("T")

# A pooled connection may belong to a broker that was restarted. After other errors the due index
# repeats the message.
_RETRY_ONCE = {"max_retries": 1, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.2}


class WorkerContext:
    """The shared objects of one process, created at first use and not inherited by a fork."""

    def __init__(self, app: Any, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self.pid = os.getpid()
        for name in (settings.poll_queue, settings.wake_queue):
            internal_queue(app, name)
        self.ledger = Ledger.of(settings)
        self.redis_availability = RedisAvailability(redact(settings.redis_url))
        self.meter = Meter(self.ledger.metrics.add_counts)
        self.state: dict[Any, Any] = {}
        """Objects of other modules that exist once per process, such as those of :meth:`shared`."""
        self._unfinished: set[Future[Any]] = set()
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._checks: StatusClient | None = None
        # One thread for the ledger's calls: each additional thread allocates memory (40 MiB at 10,000).
        # Not the loop's executor: there a DNS query that hangs would block ledger calls.
        self._ledger_thread = ThreadPoolExecutor(1, "mulequeue-ledger")
        # Separate threads for files: a file system that hangs must not delay DNS queries or the recording of ids.
        self._file_threads = ThreadPoolExecutor(4, "mulequeue-files")
        # One thread: wakes are published in order, by one producer, outside of any task's context.
        self._publisher = ThreadPoolExecutor(1, thread_name_prefix="mulequeue-publish")

    def shared(self, make: Callable[[WorkerContext], T]) -> T:
        """Return the object that ``make`` (a class or function) creates once per process from this context."""
        found: T | None = self.state.get(make)
        return self.state.setdefault(make, make(self)) if found is None else found

    def is_first(self, *key: str) -> bool:
        """Return True for the first call with this key in the process. Callers use it to log something once."""
        known: set[tuple[str, ...]] = self.state.setdefault("known", set())
        is_new = key not in known
        known.add(key)
        return is_new

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop, in a separate thread.

        One loop serves all tasks. A status check on it costs a tenth of one on a thread, and concurrent sweeps
        of a thread pool can share the loop, which they could not with an ``asyncio.Runner``.
        """
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._loop.set_default_executor(ThreadPoolExecutor(4, "mulequeue-names"))
                threading.Thread(
                    target=self._loop.run_forever, name="mulequeue-loop", daemon=True
                ).start()
            return self._loop

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop, and return its result. It continues even if the wait is interrupted."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def finish(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine that must not be abandoned: a process that is terminated waits for it.

        Supervisors that send SIGTERM to a process group (systemd by default, honcho, Heroku) also
        reach the pool's processes, which raise SystemExit in the middle of a task. On the
        other pools, an exception that interrupts the task is raised without waiting, which could block
        gevent's event loop: there the worker waits before it ends (:meth:`drain`).
        """
        future = self.start(coroutine)
        try:
            return future.result()
        except SystemExit:
            wait([future])
            raise

    @property
    def has_fleet(self) -> bool:
        """Return False if the broker is ``memory://`` and the Redis URL is the default.

        That is a test, which must not write to the fleet of this machine.
        """
        in_memory = str(self.app.conf.broker_url or "").startswith("memory:")
        return not (in_memory and self.settings.redis_url == DEFAULT_REDIS_URL)

    def start(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine on the loop. The process waits for it before it ends (:meth:`drain`)."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        self.track(future)
        return future

    def track(self, future: Future[Any]) -> None:
        """Have :meth:`drain` wait for a future."""
        self._unfinished.add(future)
        future.add_done_callback(self._unfinished.discard)

    def drain(self) -> None:
        """Wait for the tracked futures, for at most 30 s more than the submit timeout, and write the counts."""
        wait(list(self._unfinished), timeout=self.settings.submit_timeout_seconds + 30)
        self.meter.flush()

    def checks(self) -> StatusClient:
        """Return the client of all status checks, which keeps its connections alive; call it on the loop."""
        if self._checks is None:
            from mulequeue.api.status_checks import StatusClient

            self._checks = StatusClient()
        return self._checks

    # -- publishing ------------------------------------------------------------------------

    def carry_out(self, effects: Effects) -> Future[None]:
        """Publish the wakes of a transition, then the poll message that it requires.

        The future never has an exception: a wake that could not be published is in the due index, and a later
        sweep publishes it. On the event loop, await the future with ``asyncio.wrap_future``.
        """
        if not effects:
            done: Future[None] = Future()
            done.set_result(None)
            return done
        return self._publisher.submit(self.carry_out_blocking, effects)

    def carry_out_blocking(self, effects: Effects) -> None:
        """Do the same as :meth:`carry_out` in the calling thread, which must not be running a task."""
        self._publish_wakes(effects.wakes)
        if effects.poll_by is None:
            return
        try:
            message = self.ledger.polling.schedule(effects.poll_by)
        except RedisError as exc:
            self.redis_availability.mark_down(exc)
        else:
            self.publish_poll_blocking(message)

    def _publish_wakes(self, wakes: Sequence[Wake]) -> None:
        published = 0
        try:
            if wakes:
                with self.app.producer_or_acquire() as producer:
                    for wake in wakes:
                        self._publish_wake(wake, producer)
                        published += 1
        except Exception as exc:
            # The first error ends the loop: the remaining tasks are woken when they are due again.
            left = len(wakes) - published
            logger.warning("could not publish wakes: %r", exc, extra={"left": left})

    def _publish_wake(self, wake: Wake, producer: Any) -> None:
        """Re-enqueue a parked task, without a second event ``task-sent``.

        If its message cannot be created, only log that, so that the next wakes are published.
        """
        try:
            signature = self.app.signature(upgrade_signature(unpack(wake.signature)))
            headers = signature.options.get("headers")
            with tracing.continued(headers):
                signature.apply_async(
                    headers=sentry.nested(headers),
                    producer=producer,
                    retry_policy=_RETRY_ONCE,
                    add_to_parent=False,
                    event_dispatcher=NULL_DISPATCHER,
                )
        except (TypeError, ValueError, EncodeError, MuleQueueError) as exc:
            logger.error("a task cannot be woken: %r", exc, extra={"task_id": wake.task_id})

    def publish_poll(self, message: PollMessage | None) -> None:
        """Publish a poll message, if there is one, and wait until it is published."""
        if message is not None:
            self._publisher.submit(self.publish_poll_blocking, message).result()

    def publish_poll_blocking(self, message: PollMessage | None) -> None:
        """Do the same as :meth:`publish_poll` in the calling thread, which must not be running a task."""
        if message is None:
            return
        task = self.app.tasks["mulequeue.poll"]
        try:
            with tracing.continued(None):
                task.apply_async(
                    (message.token,),
                    queue=self.settings.poll_queue,
                    add_to_parent=False,
                    retry_policy=_RETRY_ONCE,
                    event_dispatcher=NULL_DISPATCHER,
                    **countdown(self.app, message.countdown),
                )
        except Exception as exc:
            # The watchdog of any worker publishes another one when something is overdue.
            logger.warning("could not publish a poll message: %r", exc)

    # -- blocking calls from the loop --------------------------------------------------------

    async def call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Make a ledger call from the event loop, in the thread for the ledger."""
        work = partial(function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._ledger_thread, work)

    async def read_file(self, function: Callable[..., T], *args: Any) -> T:
        """Call a function that reads files from the event loop, in one of the threads for files."""
        return await asyncio.get_running_loop().run_in_executor(self._file_threads, function, *args)

    def close(self) -> None:
        """Drain, stop the publisher and the loop, and close the connections to the API and to Redis."""
        self.drain()
        self._publisher.shutdown(wait=True)
        loop = self._loop
        if loop is not None and loop.is_running():
            if self._checks is not None:
                loop.call_soon_threadsafe(self._checks.close)
            loop.call_soon_threadsafe(loop.stop)
        self.ledger.redis.close()


_contexts: WeakKeyDictionary[Any, WorkerContext] = WeakKeyDictionary()
_guard = threading.Lock()


def worker_context(app: Any = None) -> WorkerContext:
    """Return this process' context for ``app``, or for :func:`current_app` if ``app`` is None.

    :raises ConfigurationError: a setting is invalid, or the current app is ambiguous.
    """
    app = app or current_app()
    if hasattr(app, "_get_current_object"):  # a proxy cannot be a key
        app = app._get_current_object()
    with _guard:
        found = _contexts.get(app)
        if found is None or found.pid != os.getpid():
            found = _contexts[app] = WorkerContext(app, Settings.load(app))
        return found


def context_of(task: Any) -> WorkerContext:
    """Return this process' context for the running task.

    If the settings of this worker are invalid, the message is delivered again, so that another worker gets it.

    :raises celery.exceptions.Retry: the settings are invalid; the message is delivered again.
    :raises ConfigurationError: the same after ``MAX_ELSEWHERE`` retries, about an hour.
    """
    try:
        return worker_context(task.app)
    except ConfigurationError as exc:
        countdown = elsewhere_delay(task.request.retries + 1)
        raise task.retry(exc=exc, countdown=countdown, max_retries=MAX_ELSEWHERE) from None


def drain() -> None:
    """Drain every context of this process, before it ends."""
    for found in list(_contexts.values()):
        if found.pid == os.getpid():
            found.drain()


def _renew_lock() -> None:
    global _guard
    _guard = threading.Lock()


# A child forked while another thread held the lock would never acquire it.
os.register_at_fork(after_in_child=_renew_lock)
