"""A replica takes the place of a Redis that died, with broker, results and ledger on it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.project import Project
from support.redis_kinds import Sentinels
from support.redis_server import RedisServer
from support.waiting import wait_until


@pytest.fixture
def pair(servers: ExitStack, tmp_path: Path) -> tuple[RedisServer, RedisServer]:
    """A master and its replica."""
    both = []
    for name in ("master", "replica"):
        folder = tmp_path / name
        folder.mkdir()
        both.append(RedisServer(folder))
        servers.callback(both[-1].stop)
    both[1].client.replicaof("127.0.0.1", both[0].port)
    return both[0], both[1]


def _has_caught_up(master: RedisServer, replica: RedisServer) -> bool:
    ahead = master.client.info("replication")["master_repl_offset"]
    behind = replica.client.info("replication")
    return behind["master_link_status"] == "up" and behind["slave_repl_offset"] >= ahead


def test_the_master_dies_amid_a_batch(
    pair: tuple[RedisServer, RedisServer],
    servers: ExitStack,
    project: Callable[..., Project],
    tmp_path: Path,
) -> None:
    """The same worker and the same sender go on with the replica; each generation is paid once."""
    master, replica = pair
    sentinels = servers.enter_context(Sentinels(tmp_path, master=master.port, count=3))
    sentinels.wait_to_meet(replicas=1)
    url = ";".join(f"sentinel://127.0.0.1:{port}" for port in sentinels.ports)
    team = project(f"""
from mulequeue.recommended import *
broker_url = result_backend = {url!r}
broker_transport_options["master_name"] = result_backend_transport_options["master_name"] = "mymaster"
""")
    team.emulator.faults(lives=[{"end": "never"}])
    team.worker()
    chains, chord = [team.chain(f"chain {number}") for number in range(4)], team.chord(4)
    team.emulator.wait(created=8, polls=8)
    wait_until(lambda: _has_caught_up(master, replica), what="the replica")

    master.kill()
    assert replica.port == sentinels.wait_for_another_master()
    for generation in team.emulator.generations():
        team.emulator.finish(generation["remote_id"])

    outcomes = [*(team.outcome(chain, 90) for chain in chains), *team.outcome(chord, 90)]
    assert ["succeeded"] * 8 == [outcome["status"] for outcome in outcomes]
    assert all(1 == len(outcome["files"]) for outcome in outcomes)
    assert (8, 0) == (team.emulator.stats()["creates"], team.emulator.stats()["duplicates"])
    team.emulator.reset_faults()
    assert "succeeded" == team.outcome(team.chain("afterwards"), 60)["status"]
    assert not team.workers[0].has_ended
