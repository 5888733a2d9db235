"""What every answer to a status check comes to: what is asked again, when, and what the user sees.

Every row is an account and a prompt of its own, so that all rows run at the same time.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from support.accounts import fleet_of_accounts
from support.fleet import Fleet
from support.generations import new_id, one
from support.raw_server import RawServer, Request, http, raw_server
from support.waiting import wait_until

BACKOFF = (1.5, 2.5)
"""Seconds to the second check after one that told nothing: two, spread by a quarter."""
NOBODY_KNOWS = "None (request_id: 6f1c0b9e-1111-4222-8333-944455556666)"


def status(number: int, **more: Any) -> dict[str, Any]:
    return {"do": "status", "status": number, **more}


def in_seconds(seconds: float) -> str:
    return formatdate(time.time() + seconds, usegmt=True)


# name: the answer to the first status check, and the least and most seconds to the second one
NO_NEWS: dict[str, tuple[dict[str, Any], tuple[float, float]]] = {
    **{
        str(number): (status(number), BACKOFF)
        for number in (400, 401, 402, 403, 404, 405, 408, 409, 423, 425, 429, 451)
    },
    **{str(number): (status(number), BACKOFF) for number in (500, 502, 503, 504)},
    "404-route": (status(404, code=0, title="Not Found", detail="no such route"), BACKOFF),
    "401-none": (status(401, code=0, title="Invalid API Key format", detail=NOBODY_KNOWS), BACKOFF),
    "429-seconds": (status(429, retry_after="4"), (3, 4)),
    # Hours on: the rows are made when the tests are collected, minutes before they run.
    "429-date": (status(429, retry_after=in_seconds(7200)), (290, 300)),
    "429-hour": (status(429, retry_after="3600"), (290, 300)),
    "429-past": (status(429, retry_after=in_seconds(-900)), BACKOFF),
    "429-rubbish": (status(429, retry_after="soon"), BACKOFF),
    "503-seconds": (status(503, retry_after="4"), (3, 4)),
    "502-page": (status(502, html=True), BACKOFF),
    "500-huge": (status(500, bytes=10_000_000), BACKOFF),
    "not-json": ({"do": "not_json"}, BACKOFF),
    "redirected": ({"do": "redirect"}, BACKOFF),
    "slow-body": ({"do": "slow_body", "seconds": 8.0}, BACKOFF),
    "endless": ({"do": "endless"}, BACKOFF),
}
SHORT = {name for name, (_, pause) in NO_NEWS.items() if pause == BACKOFF}


@pytest.fixture
def elsewhere() -> Iterator[RawServer]:
    """The host a status check is redirected to."""
    with raw_server(http("200 OK", "{}")) as server:
        yield server


class StaleKeepAlive:
    """An API that closes the connection when it is used a second time, without a word."""

    ID = "0b0b0b0b-0000-4000-8000-00000000beef"

    def __init__(self) -> None:
        self.checks = 0
        self._used: set[Any] = set()

    def __call__(self, connection: Any, request: Request, state: RawServer) -> None:
        if request.line.startswith("GET"):
            if connection in self._used:
                raise ConnectionAbortedError
            self._used.add(connection)
            self.checks += 1
        word = "completed" if self.checks > 2 else "processing"
        info = f'{{"id": "{self.ID}", "status": "{word}"}}'
        connection.sendall(
            http("200 OK", f'{{"task_info": {info}, "images": ["https://a.test/b.png"]}}')
        )


# A pause outlives its test, in the ledger and in the worker: each run of a test has its own fleet.


@contextmanager
def accounts(folder: Path, names: Iterable[str], **elsewhere: str) -> Iterator[Fleet]:
    """A fleet with an account of each name, and a worker that waits a second for an answer."""
    env = {"MULEQUEUE_POLL_TIMEOUT_SECONDS": "1"}
    with fleet_of_accounts(
        folder, names, elsewhere=elsewhere, min_seconds=0.1, max_seconds=0.2, env=env
    ) as fleet:
        fleet.worker("-c", "3")
        yield fleet


class Pauses:
    """Row -> seconds from its first failed check to the next one, as the ledger has it."""

    def __init__(self, fleet: Fleet) -> None:
        self.ids: dict[str, str] = {}
        self.found: dict[str, float] = {}
        self._fleet = fleet

    def look(self) -> bool:
        """Note the rows that have had their first check; whether all have."""
        fleet, now = self._fleet, self._fleet.ledger.queries.now()
        records = fleet.ledger.queries.records(list(self.ids.values()))
        for name, record in zip(self.ids, records, strict=True):
            if name not in self.found and record is not None and record.polls:
                assert "generating" == record.state, (name, record)
                due = fleet.redis.client.zscore(f"{fleet.ledger.prefix}due", self.ids[name])
                self.found[name] = round(due - now, 2)
        return len(self.found) == len(self.ids)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """With an account for each row."""
    with accounts(tmp_path, NO_NEWS) as fleet:
        yield fleet


def test_what_tells_nothing_is_asked_again(fleet: Fleet, elsewhere: RawServer) -> None:
    """Nothing but a task says anything of a generation: each row is checked again after its pause,
    once per pause, and comes to its end.
    """
    bursts = [{**do, "contains": f"<{name}>", "count": 1} for name, (do, _) in NO_NEWS.items()]
    for burst in bursts:
        if burst["do"] == "redirect":
            burst["location"] = f"{elsewhere.url}/away"
        if burst["do"] == "endless":  # the same check reads a large response once more
            burst["count"] = 2
    fleet.emulator.faults(polls=bursts)
    seen = Pauses(fleet)
    ids = seen.ids
    for name in NO_NEWS:
        task_id = ids[name] = new_id(name)
        one(fleet, f"<{name}>", profile=name).apply_async(task_id=task_id, ignore_result=True)
        seen.look()  # the first are checked before the last are sent

    wait_until(seen.look, seconds=30, what="a first check of every row", every=0.02)

    pauses = seen.found
    expected = {name: pause for name, (_, pause) in NO_NEWS.items()}
    # What is left of it by the time it is seen here.
    early = {n: p for n, p in pauses.items() if not expected[n][0] - 1 <= p <= expected[n][1]}
    assert {} == early
    ended = {name: fleet.wait_for_state(ids[name], "delivered") for name in SHORT}
    assert {"succeeded"} == {record.status for record in ended.values()}
    # One request that told nothing and one that told the end; no client repeats one by itself.
    assert dict.fromkeys(SHORT, 2) == {name: end.polls for name, end in ended.items()}
    assert [] == elsewhere.requests
    assert len(NO_NEWS) == fleet.emulator.stats()["created"] == fleet.emulator.stats()["creates"]


def test_a_stale_connection_is_no_error(tmp_path: Path) -> None:
    """A kept connection that the API has closed meanwhile is replaced at once, without a pause."""
    answer = StaleKeepAlive()
    with raw_server(answer) as server, accounts(tmp_path, ["stale"], stale=server.url) as fleet:
        outcome = one(fleet, profile="stale").delay().get(timeout=30)

    assert ("succeeded", 3) == (outcome["status"], outcome["polls"])
    assert 3 == answer.checks
    # One connection for the create and one for each check; the closed ones carried nothing twice.
    assert 4 == server.connections
