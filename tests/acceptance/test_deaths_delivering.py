"""Workers die between an outcome and what follows it, and amid downloads and notifications."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import requests
from standardwebhooks import Webhook
from support.deaths import assert_paid_once, generate, note, notes, stored, unfinished
from support.fleet import SECRET, Fleet
from support.hanging import HANG
from support.raw_server import RawServer, Request, http, raw_server
from support.receiver import Receiver
from support.waiting import wait_until


def test_killed_after_the_outcome_was_settled(make_told_fleet: Callable[..., Fleet]) -> None:
    """The worker dies while Celery dispatches what follows: it is dispatched, and runs once.

    One chain dies before its next message is out, the other one after it.
    """
    fleet = make_told_fleet(celeryconfig=HANG)
    orders = [
        fleet.folder / "hang-before-user.note",
        fleet.folder / "hang-after-mulequeue.download",
    ]
    for order in orders:
        order.touch()
    first = fleet.worker()
    before = (generate(fleet, "before").set(task_id="before") | note(fleet, "noted")).delay()
    download = fleet.task("mulequeue.download")
    after = (generate(fleet, "after").set(task_id="after") | download).delay()
    for moment in ("before", "after"):
        hangs = fleet.folder / f"hangs-{moment}"
        wait_until(hangs.exists, what=f"a dispatch to stand still {moment} its message is out")
        assert "delivering" == fleet.ledger.queries.record(moment).state

    first.kill()
    for order in orders:
        order.unlink()
    fleet.worker()

    assert "succeeded" == before.get(timeout=90)["status"]
    assert 1 == len(after.get(timeout=90)["files"])
    for task_id in ("before", "after"):
        fleet.wait_for_state(task_id, "delivered", seconds=60)
    assert_paid_once(fleet, 2)
    assert 1 == notes(fleet, "noted")
    assert 1 == fleet.emulator.stats()["downloads"]


class HalfPicture:
    """An asset host that sends half a picture the first time and stands still then."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.is_half = threading.Event()

    def __call__(self, connection: socket.socket, request: Request, state: RawServer) -> None:
        whole = http("200 OK", self.data, Content_Type="image/png")
        if len(state.requests) > 1:
            return connection.sendall(whole)
        connection.sendall(whole[: -len(self.data) // 2])
        self.is_half.set()
        state.stopping.wait(90)
        raise ConnectionAbortedError


def test_killed_amid_a_download(make_fleet: Callable[..., Fleet]) -> None:
    """The file's name stands for nothing until all of it is there, and then byte for byte."""
    fleet = make_fleet()
    first = fleet.worker()
    outcome = generate(fleet, "a mule").delay().get(timeout=30)
    data = requests.get(outcome["assets"][0]["url"], timeout=10).content + os.urandom(4 * 1024**2)
    host = HalfPicture(data)
    with raw_server(host) as server:
        outcome["assets"][0]["url"] = f"{server.url}/result.png"
        download = fleet.task("mulequeue.download", outcome)
        result = (download | note(fleet, "after")).delay()
        assert host.is_half.wait(30)
        wait_until(
            lambda: any(path.stat().st_size for path in unfinished(fleet)), what="half a file"
        )
        assert [] == stored(fleet)

        first.kill()
        fleet.worker()

        files = result.get(timeout=90)["files"]
        assert 2 == len(server.requests)
    assert [data] == [path.read_bytes() for path in stored(fleet)]
    assert [stored(fleet)[0].as_uri()] == [file["url"] for file in files]
    assert len(data) == files[0]["bytes"]
    assert_paid_once(fleet)
    assert 1 == notes(fleet, "after")


def test_killed_while_downloads_are_held(make_fleet: Callable[..., Fleet]) -> None:
    """Downloads of a chord die with their worker: all are stored, and the body runs once."""
    fleet = make_fleet()
    fleet.emulator.faults(downloads=[{"do": "hold", "count": 2}])
    first = fleet.worker()
    header = [
        generate(fleet, f"mule {number}") | fleet.task("mulequeue.download") for number in range(4)
    ]
    result = fleet.chord(header, note(fleet, "body")).delay()
    fleet.emulator.wait(held_downloads=2)

    first.kill()
    fleet.worker()

    outcomes = result.get(timeout=90)
    for outcome in outcomes:
        data = requests.get(outcome["assets"][0]["url"], timeout=10).content
        path = Path(outcome["files"][0]["url"].removeprefix("file://"))
        assert data == path.read_bytes()
    assert 4 == len(stored(fleet))
    assert_paid_once(fleet, 4)
    assert 1 == notes(fleet, "body")


def test_killed_between_the_attempts_of_a_notification(make_fleet: Callable[..., Fleet]) -> None:
    """The next attempt comes from another worker, with the same id, the same bytes, and signed."""
    fleet = make_fleet()
    first = fleet.worker()
    with Receiver([503]) as receiver:
        notify = fleet.task("mulequeue.notify", receiver.url)
        result = (generate(fleet, "a mule") | notify | note(fleet, "after")).delay()
        receiver.wait(1)
        wait_until(lambda: "failed; retrying in" in first.text, what="the attempt to be over")

        first.kill()
        fleet.worker()

        assert "succeeded" == result.get(timeout=90)["status"]
        refused, accepted = receiver.received
    assert [503, 200] == [refused.answered, accepted.answered]
    assert (refused.id, refused.body) == (accepted.id, accepted.body)
    assert "generation.succeeded" == json.loads(accepted.body)["type"]
    headers = {
        "webhook-id": accepted.id,
        "webhook-timestamp": accepted.timestamp,
        "webhook-signature": accepted.signature,
    }
    Webhook(SECRET).verify(accepted.body.decode(), headers)
    assert_paid_once(fleet)
    assert 1 == notes(fleet, "after")
