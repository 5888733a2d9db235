"""Create requests that never leave, and those that must not be sent on."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

from support.fleet import KEY, Fleet
from support.generations import QUICK, Log, new_id, one
from support.ports import free_port
from support.raw_server import hang_up, http, raw_server

from mulequeue.emulator.process import EmulatorProcess


def profiles(**urls: str) -> str:
    """Lines of a ``celeryconfig.py``."""
    rows = {name: {"base_url": url, "api_key": KEY} for name, url in urls.items()}
    return f"mulequeue_profiles = {rows!r}"


def test_refused_connection_waits(make_fleet: Callable[..., Fleet]) -> None:
    """A create that never left waits for the API to come up, and is then sent once."""
    port = free_port()
    fleet = make_fleet(celeryconfig=profiles(later=f"http://127.0.0.1:{port}"))
    fleet.worker(*QUICK)
    log, task_id = Log(fleet), new_id()

    result = one(fleet, profile="later").apply_async(task_id=task_id)
    fleet.wait_for_state(task_id, "waiting")
    log.wait_for("submissions paused")

    with EmulatorProcess(min_seconds=0, max_seconds=0, port=port) as api:
        assert "succeeded" == result.get(timeout=30)["status"]
        assert 1 == api.stats()["creates"]


def test_redirect_is_not_followed(make_fleet: Callable[..., Fleet]) -> None:
    """A redirected create fails with what to change; neither host gets a second request."""
    with raw_server(hang_up) as elsewhere:
        redirect = http("307 Temporary Redirect", Location=f"{elsewhere.url}/vendors")
        with raw_server(redirect) as api:
            fleet = make_fleet(celeryconfig=profiles(moved=api.url))
            fleet.worker(*QUICK)

            outcome = one(fleet, profile="moved", on_failure="return").delay().get(timeout=30)

            assert "InvalidRequestError" == outcome["error"]["type"]
            assert "mulequeue_base_url" in outcome["error"]["detail"]
            assert ["POST"] == [request.line.split()[0] for request in api.requests]
            assert [] == elsewhere.requests


def test_silent_api_ends_at_the_deadline(make_fleet: Callable[..., Fleet]) -> None:
    """A create that is never answered ends at its total deadline, as unknown, after one request."""
    answered = threading.Event()

    def never(connection: socket.socket, *_: object) -> None:
        answered.wait(30)

    with raw_server(never) as api:
        fleet = make_fleet(
            celeryconfig=profiles(silent=api.url) + "\nmulequeue_submit_timeout_seconds = 1.0"
        )
        fleet.worker(*QUICK)

        outcome = one(fleet, profile="silent", on_failure="return").delay().get(timeout=30)

        assert "submit_unknown" == outcome["status"]
        assert 1 == len(api.requests)
        answered.set()
