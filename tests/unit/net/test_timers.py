"""Timers call functions in order, until they are cancelled, on a thread that runs when needed."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from support.waiting import wait_until

from mulequeue.net.timers import Timers


def test_timers_call_in_the_order_of_their_times() -> None:
    """A timer that is added later and due earlier does not wait for the others."""
    timers, called = Timers("order"), queue.Queue[str]()
    last = timers.after(600, lambda: called.put("last"))

    timers.after(0.1, lambda: called.put("second"))
    timers.after(0.01, lambda: called.put("first"))

    assert ["first", "second"] == [called.get(timeout=10) for _ in range(2)]
    timers.after(0.01, lambda: called.put("third"))
    assert "third" == called.get(timeout=10)
    assert timers.cancel(last)


def test_a_cancelled_timer_makes_no_call() -> None:
    """A cancelled timer makes no call; ``cancel`` returns whether it was in time."""
    timers, called = Timers("cancels"), queue.Queue[str]()
    first = timers.after(0.05, lambda: called.put("first"))
    second = timers.after(0.1, lambda: called.put("second"))

    assert timers.cancel(first)

    assert "second" == called.get(timeout=10)
    assert called.empty()
    assert [False, False] == [timers.cancel(first), timers.cancel(second)]


def test_a_repeating_timer_calls_until_it_is_cancelled() -> None:
    """A repeating timer is called again after an error, which delays no other timer."""
    timers, called = Timers("repeats"), queue.Queue[str]()

    def failing() -> None:
        called.put("failing")
        raise RuntimeError("not this time")

    timer = timers.every(0.01, failing)
    assert ["failing"] * 3 == [called.get(timeout=10) for _ in range(3)]

    assert timers.cancel(timer)
    timers.after(0.05, lambda: called.put("other"))
    while "other" != called.get(timeout=10):
        pass
    assert called.empty()


def test_a_hundred_timers_share_one_thread_that_ends_with_them() -> None:
    """The thread runs while there is a timer, and starts again for the next one."""
    timers, called = Timers("shared"), queue.Queue[int]()

    def threads() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "shared"]

    def ringing(number: int) -> Callable[[], None]:
        return lambda: called.put(number)

    for _ in range(2):
        for number in range(100):
            timers.after(0.05, ringing(number))
        assert 1 == len(threads())
        assert set(range(100)) == {called.get(timeout=10) for _ in range(100)}
        wait_until(lambda: not threads(), what="the end of the thread")
