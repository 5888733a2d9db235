"""Run attempts in threads, so that a task need not wait for one whose host does not answer.

A receiver or an asset host that hangs would otherwise hold a worker's slots until its timeouts, and with
them the status checks and create requests that wait for a slot.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar

from mulequeue.errors import TransferError
from mulequeue.transfer.control import TransferControl

if TYPE_CHECKING:
    from mulequeue.engine.worker_context import WorkerContext

T = TypeVar("T")

STALL_SECONDS = 2.0
"""A task no longer waits for an attempt that received less than ``MIN_BYTES_PER_SECOND`` for this time."""
CROWDED_STALL_SECONDS = 0.2
"""The same while another attempt at the same host continues without its task."""
MIN_BYTES_PER_SECOND = 10_000
MAX_LEFT_PER_HOST = 4
"""No attempt at a host is started while this many continue without their tasks in this process. The limit is
higher if more attempts have run at once in the process (pools of threads or greenlets)."""
_CLEANUP_SECONDS = 2.0


class HostBusy(TransferError):
    """Raised while too many earlier attempts of this process at a host have not ended."""


class Background:
    """Runs the attempts of one process, and counts those per host that continue without their tasks."""

    def __init__(self, _: WorkerContext | None = None) -> None:
        self._left: Counter[str] = Counter()
        self._running = self._most_running = 0
        self._lock = threading.Lock()

    def attempt(self, host: str, function: Callable[[], T], control: TransferControl) -> Future[T]:
        """Call a function in a thread; return its future, which is not done if the host does not answer.

        :raises HostBusy: as many attempts at the host as allowed continue without their tasks.
        """
        if self.is_crowded(host):
            raise HostBusy(f"{host} has not answered the earlier attempts of this worker.")
        with self.running():
            future = start(function)
            if is_stalled(future, control, self.stall_seconds(host)):
                self.leave(host, future)
        return future

    def is_crowded(self, host: str) -> bool:
        return self._left[host] >= max(MAX_LEFT_PER_HOST, self._most_running)

    def stall_seconds(self, host: str) -> float:
        return CROWDED_STALL_SECONDS if self._left[host] else STALL_SECONDS

    @contextmanager
    def running(self) -> Iterator[None]:
        with self._lock:
            self._running += 1
            self._most_running = max(self._most_running, self._running)
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1

    def leave(self, host: str, future: Future[Any]) -> None:
        self._add(host, 1)
        future.add_done_callback(lambda _: self._add(host, -1))

    def _add(self, host: str, number: int) -> None:
        with self._lock:
            self._left[host] += number
            if not self._left[host]:
                del self._left[host]


def start(function: Callable[[], T]) -> Future[T]:
    """Call a function in a new daemon thread, with a copy of the context, which contains the trace."""
    future: Future[T] = Future()
    context = copy_context()

    def work() -> None:
        try:
            future.set_result(context.run(function))
        except BaseException as exc:
            future.set_exception(exc)

    threading.Thread(target=work, name="mulequeue-attempt", daemon=True).start()
    return future


def is_stalled(future: Future[Any], control: TransferControl, seconds: float) -> bool:
    """Wait for an attempt; return True as soon as it received too little in ``seconds``, False when it ends.

    Too little is less than ``MIN_BYTES_PER_SECOND``. If the wait is interrupted (by a time limit or a signal),
    the attempt is cancelled.
    """
    try:
        while not future.done():
            before = control.received
            wait([future], seconds)
            if not future.done() and control.received - before < seconds * MIN_BYTES_PER_SECOND:
                return True
        return False
    except BaseException:
        control.cancel()
        wait([future], _CLEANUP_SECONDS)
        raise
