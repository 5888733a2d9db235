"""A receiver that does not answer takes neither worker slots nor its own notifications."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from support.fleet import Fleet
from support.generations import Log, one
from support.raw_server import http, raw_server, say_nothing
from support.waiting import wait_until

from mulequeue.engine.followups.background import STALL_SECONDS
from mulequeue.errors import NotificationError

FAILED = {"task_id": "t", "status": "failed", "remote_id": "r", "files": [], "assets": []}


def test_receiver_that_hangs_holds_no_slot(shared: Fleet) -> None:
    """With more hanging notifications than slots, generations end as ever; the notifications are kept."""
    with raw_server(say_nothing) as server:
        results = [
            shared.task("mulequeue.notify", FAILED, f"{server.url}/{number}").delay()
            for number in range(40)
        ]
        wait_until(lambda: server.connections >= 4, what="the first attempts")

        files = (one(shared) | shared.task("mulequeue.download")).delay().get(timeout=30)["files"]

        assert files
        assert not any(result.ready() for result in results)
        assert server.connections <= 16  # four in each of four processes


def accept_late(connection: Any, request: Any, state: Any) -> None:
    """A receiver that takes longer than a slot is held for it."""
    time.sleep(STALL_SECONDS + 1)
    connection.sendall(http("200 OK"))


def test_slow_receiver_is_told_once_by_recycled_processes(make_fleet: Callable[..., Fleet]) -> None:
    """A process that is replaced after each task finishes what it was left with."""
    fleet = make_fleet()
    worker = fleet.worker("--max-tasks-per-child", "1")
    with raw_server(accept_late) as server:
        result = fleet.task("mulequeue.notify", FAILED, f"{server.url}/hook").delay()

        assert FAILED == result.get(timeout=30)
        assert 1 == len(server.requests)
    worker.stop()


def test_slow_receiver_is_told_once(shared: Fleet) -> None:
    """It gets one request, and its task ends well."""
    with raw_server(accept_late) as server:
        result = shared.task("mulequeue.notify", FAILED, f"{server.url}/hook").delay()

        assert FAILED == result.get(timeout=30)
        assert 1 == len(server.requests)


def test_slow_receiver_that_refuses_is_told_again(shared: Fleet) -> None:
    """A late error is one failed attempt like any other; the next one is made when it is due."""

    def late(connection: Any, request: Any, state: Any) -> None:
        is_first = len(state.requests) == 1
        time.sleep(STALL_SECONDS + 1 if is_first else 0)
        connection.sendall(http("500 Oops" if is_first else "200 OK"))

    log = Log(shared)
    with raw_server(late) as server:
        result = shared.task("mulequeue.notify", FAILED, f"{server.url}/hook").delay()

        assert FAILED == result.get(timeout=30)
        assert 2 == len(server.requests)
    log.wait_for("mulequeue.notify failed; retrying in")


def test_slow_error_that_is_final_fails_the_task(shared: Fleet) -> None:
    """A receiver that says late that it wants nothing more ends its notification with that error."""

    def gone(connection: Any, request: Any, state: Any) -> None:
        time.sleep(STALL_SECONDS + 1)
        connection.sendall(http("410 Gone"))

    with raw_server(gone) as server:
        result = shared.task("mulequeue.notify", FAILED, f"{server.url}/hook").delay()

        with pytest.raises(NotificationError, match="accepts no more"):
            result.get(timeout=30)
