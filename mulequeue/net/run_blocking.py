"""Run a coroutine from ordinary code, whatever loop or pool the calling thread belongs to."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run_blocking(start: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run one coroutine to its end and return what it returns.

    A thread that already runs a loop gets a short-lived thread beside it; under gevent the
    coroutine always runs on a native thread, because greenlets of one thread would meet in one
    loop.

    :param start: makes the coroutine, in the thread that runs it.
    """
    if "gevent" in sys.modules and _is_patched_by_gevent():
        return _on_gevents_threads(start)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _run(start)
    return _beside(start)


def _run(start: Callable[[], Coroutine[Any, Any, T]]) -> T:
    # Not asyncio.run: at the end it waits for a name look-up that hangs, far beyond any deadline.
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(start())
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def _beside(start: Callable[[], Coroutine[Any, Any, T]]) -> T:
    results: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(_run(start))
        except BaseException as exc:
            errors.append(exc)

    thread = threading.Thread(target=work, name="mulequeue-blocking", daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def _is_patched_by_gevent() -> bool:
    from gevent import monkey  # type: ignore[import-untyped]

    return bool(monkey.is_module_patched("threading"))


def _on_gevents_threads(start: Callable[[], Coroutine[Any, Any, T]]) -> T:
    import gevent

    result: T = gevent.get_hub().threadpool.apply(_run, (start,))
    return result
