"""An attempt runs in a thread of its own, which is left behind when nothing arrives."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack

import pytest
from support.waiting import wait_until

from mulequeue.engine.followups.background import (
    MAX_LEFT_PER_HOST,
    Background,
    is_stalled,
    start,
)
from mulequeue.transfer.control import TransferControl


@pytest.fixture
def gate():
    opened = threading.Event()
    yield opened
    opened.set()


def test_an_attempt_that_ends_is_waited_for():
    """Its value and its error reach the task."""
    control = TransferControl()
    good, bad = start(lambda: 7), start(lambda: 1 / 0)

    assert not is_stalled(good, control, 30)
    assert not is_stalled(bad, control, 30)
    assert 7 == good.result()
    assert isinstance(bad.exception(), ZeroDivisionError)


def test_an_attempt_that_receives_data_is_waited_for(gate):
    """A slow transfer that gets on keeps its slot."""
    control = TransferControl()

    def transfer():
        for _ in range(10):
            control.count(10**6)
            time.sleep(0.02)
        return "done"

    future = start(transfer)

    assert not is_stalled(future, control, 0.15)
    assert "done" == future.result()


def test_an_attempt_that_receives_nothing_is_left(gate):
    """It runs on, and its end is still known."""
    future = start(gate.wait)

    assert is_stalled(future, TransferControl(), 0.01)
    assert not future.done()
    gate.set()
    assert future.result(10)


def test_a_drip_is_as_good_as_nothing(gate):
    """A few bytes per second do not hold a slot."""
    control = TransferControl()

    def drip():
        while not gate.wait(0.001):
            control.count(1)

    assert is_stalled(start(drip), control, 0.1)


def test_an_interrupted_wait_aborts_the_attempt(gate, monkeypatch):
    """A time limit or a signal ends the transfer, not only its wait."""
    control = TransferControl()

    class Over(BaseException):
        pass

    def interrupt(*_):
        raise Over

    monkeypatch.setattr(type(control), "received", property(interrupt), raising=False)
    future = start(gate.wait)
    with pytest.raises(Over):
        is_stalled(future, control, 30)

    assert control.is_cancelled


def test_a_process_with_many_slots_leaves_as_many(gate):
    """On pools of threads and greenlets, as many may be left as were made at once."""
    background = Background()
    with ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(background.running())
    for _ in range(MAX_LEFT_PER_HOST):
        background.leave("slow", start(gate.wait))

    assert not background.is_crowded("slow")
    for _ in range(10 - MAX_LEFT_PER_HOST):
        background.leave("slow", start(gate.wait))
    assert background.is_crowded("slow")


def test_hosts_are_counted_apart(gate):
    """Attempts that were left at one host stop others at this host alone, until they end."""
    background = Background()
    futures = [start(gate.wait) for _ in range(MAX_LEFT_PER_HOST)]
    for future in futures:
        assert not background.is_crowded("slow")
        background.leave("slow", future)

    assert background.is_crowded("slow")
    assert not background.is_crowded("other")
    assert background.stall_seconds("slow") < background.stall_seconds("other")
    gate.set()
    wait_until(lambda: not background.is_crowded("slow"), what="their end")
