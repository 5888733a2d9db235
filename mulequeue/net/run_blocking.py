"""Run a coroutine from synchronous code, in any worker pool."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


def run_blocking(start: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run one coroutine and return its result.

    If the thread already runs an event loop, the coroutine runs on a new thread. Under gevent the
    coroutine always runs on a native thread, because all greenlets of a thread would share one loop.

    :param start: returns the coroutine; called in the thread that runs it.
    """
    if "gevent" in sys.modules and _is_patched_by_gevent():
        return _on_native_thread(start)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _run(start)
    return _on_new_thread(start)


def _run(start: Callable[[], Coroutine[Any, Any, T]]) -> T:
    # Not asyncio.run, which waits at its end for pending DNS look-ups, possibly far beyond the deadline.
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(start())
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def _on_new_thread(start: Callable[[], Coroutine[Any, Any, T]]) -> T:
    result: Future[T] = Future()

    def work() -> None:
        try:
            result.set_result(_run(start))
        except BaseException as exc:
            result.set_exception(exc)

    threading.Thread(target=work, name="mulequeue-blocking", daemon=True).start()
    return result.result()


def _is_patched_by_gevent() -> bool:
    from gevent import monkey  # type: ignore[import-untyped]

    return bool(monkey.is_module_patched("threading"))


def _on_native_thread(start: Callable[[], Coroutine[Any, Any, T]]) -> T:
    import gevent

    result: T = gevent.get_hub().threadpool.apply(_run, (start,))
    return result
