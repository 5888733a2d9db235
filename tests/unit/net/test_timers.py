"""Calls at a later time: in order, until they are called off, by a thread that comes and goes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from support.waiting import wait_until

from mulequeue.net.timers import Timers


def test_alarms_ring_in_the_order_of_their_times() -> None:
    """An alarm that is set later and earlier than all others does not wait for them."""
    timers, rung = Timers("rings"), queue.Queue[str]()
    last = timers.after(600, lambda: rung.put("last"))

    timers.after(0.1, lambda: rung.put("second"))
    timers.after(0.01, lambda: rung.put("first"))

    assert ["first", "second"] == [rung.get(timeout=10) for _ in range(2)]
    timers.after(0.01, lambda: rung.put("third"))
    assert "third" == rung.get(timeout=10)
    assert timers.cancel(last)


def test_a_cancelled_alarm_does_not_ring() -> None:
    """Cancelling tells whether it came in time."""
    timers, rung = Timers("cancels"), queue.Queue[str]()
    first = timers.after(0.05, lambda: rung.put("first"))
    second = timers.after(0.1, lambda: rung.put("second"))

    assert timers.cancel(first)

    assert "second" == rung.get(timeout=10)
    assert rung.empty()
    assert [False, False] == [timers.cancel(first), timers.cancel(second)]


def test_a_repeating_alarm_rings_until_it_is_cancelled() -> None:
    """Also when what it calls fails, which holds up no other alarm either."""
    timers, rung = Timers("repeats"), queue.Queue[str]()

    def failing() -> None:
        rung.put("failing")
        raise RuntimeError("not this time")

    timer = timers.every(0.01, failing)
    assert ["failing"] * 3 == [rung.get(timeout=10) for _ in range(3)]

    assert timers.cancel(timer)
    timers.after(0.05, lambda: rung.put("other"))
    while "other" != rung.get(timeout=10):
        pass
    assert rung.empty()


def test_a_hundred_alarms_share_one_thread_that_ends_with_them() -> None:
    """The thread is there while something may ring, and starts again for the next one."""
    timers, rung = Timers("shared"), queue.Queue[int]()

    def threads() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "shared"]

    def ringing(number: int) -> Callable[[], None]:
        return lambda: rung.put(number)

    for _ in range(2):
        for number in range(100):
            timers.after(0.05, ringing(number))
        assert 1 == len(threads())
        assert set(range(100)) == {rung.get(timeout=10) for _ in range(100)}
        wait_until(lambda: not threads(), what="the end of the thread")
