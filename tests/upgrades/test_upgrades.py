"""What earlier versions left in Redis goes on to its end on the workers of this one."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from support.fleet import Fleet
from support.waiting import wait_until

from mulequeue.ledger import Record
from upgrades.dump import load
from upgrades.endpoint import URL, Endpoint
from upgrades.write import CONFIG

VERSIONS = sorted(Path(__file__).parent.glob("*.json"))
AWAY_SECONDS = 300
"""How long no worker ran: leases have lapsed, and nothing has been given up yet."""

NOTED_BEFORE = {"finished", "failed", "unknown"}
NOTED = {
    *("generating", "member", "paused", "delivering", "downloading", "notifying", "settled"),
    *("cancelled-late", "submitting", "unsent", "cancelled-early", "second", "adopted"),
    "downloaded",
}
NOTIFIED = {"generating", "first", "notifying", "told", "third"}
CREATED = {f"{batch}-{number}" for batch in ("first", "third", "fourth") for number in range(3)} | {
    *("finished", "failed", "unknown", "generating", "member-0", "member-1", "paused"),
    *("delivering", "downloading", "notifying", "settled", "cancelled-late", "submitting"),
    *("unsent", "chained", "second"),
}
ENDED_OTHERWISE = {
    "failed": "failed",
    "unknown": "submit_unknown",
    "submitting": "submit_unknown",
    "cancelled-late": "cancelled",
    "cancelled-early": "cancelled",
}


def _records(fleet: Fleet) -> list[Record]:
    """All of them."""
    start = f"{fleet.ledger.prefix}record:"
    ids = [key.decode().removeprefix(start) for key in fleet.redis.client.keys(start + "*")]
    return [record for record in map(fleet.ledger.queries.record, ids) if record]


def _states(fleet: Fleet) -> set[str]:
    return {record.state for record in _records(fleet)}


def _notes(fleet: Fleet) -> Counter[str]:
    """How often each note was written."""
    found = (fleet.folder / name for name in NOTED | NOTED_BEFORE)
    return Counter({path.name: len(path.read_text().split()) for path in found if path.exists()})


@pytest.mark.parametrize("version", VERSIONS, ids=lambda path: path.stem)
def test_everything_in_flight_goes_on(make_fleet: Callable[..., Fleet], version: Path) -> None:
    """Records in every state and messages of every task come to their end; nothing is paid twice."""
    left = json.loads(version.read_text())
    with Endpoint() as endpoint:
        fleet = make_fleet(env={"MULEROUTER_BASE_URL": URL}, celeryconfig=CONFIG)
        load(fleet.redis.client, left["keys"], taken_at=time.time() - AWAY_SECONDS)
        fleet.worker("-c", "4")

        wait_until(lambda: set(_notes(fleet)) >= NOTED, seconds=90, what="what follows to run")
        wait_until(lambda: len(endpoint.notified) >= len(NOTIFIED), what="all notifications")
        wait_until(lambda: 3 == fleet.ledger.queries.batch("fourth").files, what="the last files")
        wait_until(lambda: {"delivered"} == _states(fleet), what="nothing to be in flight")

    assert dict.fromkeys(CREATED, 1) == Counter(left["creates"] + endpoint.creates)
    assert dict.fromkeys(NOTED, 1) == _notes(fleet)
    assert dict.fromkeys(NOTIFIED, 1) == Counter(hook for hook, _ in endpoint.notified)
    ended = {record.task_id: record.status for record in _records(fleet)}
    assert ENDED_OTHERWISE == {id: status for id, status in ended.items() if status != "succeeded"}


def test_there_is_a_version_to_come_from() -> None:
    """The table is not empty."""
    assert "0.1.0" in [path.stem for path in VERSIONS]
