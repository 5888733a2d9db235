"""The same work on every pool that Celery has."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from celery import group
from support.fleet import Fleet
from support.generations import one

POOLS = {
    "prefork": ["-P", "prefork", "-c", "2"],
    "threads": ["-P", "threads", "-c", "4"],
    # Celery's own gossip hangs one start in four on gevent, with or without mulequeue.
    "gevent": ["-P", "gevent", "-c", "20", "--without-gossip"],
    "solo": ["-P", "solo", "-c", "1"],
}


@pytest.mark.parametrize("pool", POOLS)
def test_chain_chord_and_fifty_in_flight(pool: str, make_fleet: Callable[..., Fleet]) -> None:
    """A chain, a chord of eight and fifty more at once come to their ends, each paid once."""
    if pool == "gevent":
        pytest.importorskip("gevent", reason="the gevent pool needs gevent")
    fleet = make_fleet(min_seconds=1.0, max_seconds=2.0)
    fleet.worker(*POOLS[pool], "--without-mingle")
    download = fleet.task("mulequeue.download")

    chain = (one(fleet, "chain") | download).delay()
    members = [one(fleet, f"chord {i}", on_failure="return") | download for i in range(8)]
    chord = fleet.chord(members, fleet.task("user.collect")).delay()
    fifty = group([one(fleet, f"group {i}") for i in range(50)]).delay()

    assert 1 == len(chain.get(timeout=60)["files"])
    assert [1] * 8 == [len(outcome["files"]) for outcome in chord.get(timeout=60)]
    assert ["succeeded"] * 50 == [outcome["status"] for outcome in fifty.get(timeout=60)]
    stats = fleet.emulator.stats()
    assert (59, 59, 0) == (stats["creates"], stats["created"], stats["duplicates"])
    assert {"succeeded": 59} == {
        k: n for k, n in fleet.ledger.queries.counts().items() if k == "succeeded"
    }
    assert "Traceback" not in fleet.logs
    assert "ShortTraceInfo" == fleet.task("user.tracer").delay().get(timeout=60)
