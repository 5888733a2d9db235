"""The doctor's findings about real Redis servers that lose data or do not answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from support.findings import NOWHERE, levels
from support.fleet import KEY, environment
from support.private_ca import WHOLE_CA
from support.program import runs_in
from support.redis_kinds import redis_with, redis_with_tls
from support.redis_server import type_redis_cli
from support.waiting import wait_until

from mulequeue.ledger.probe import probe_connection
from mulequeue.ops.health.redis_server import (
    broker_eviction,
    eviction,
    persistence,
    read_facts,
    unreachable,
)
from mulequeue.settings import Settings


def writes_first_file(client: Any) -> bool:
    """A Redis that has just been given an append-only file does not end before it is written."""
    info = client.info("persistence")
    return bool(info["aof_rewrite_in_progress"] or info["aof_rewrite_scheduled"])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--appendonly", "yes"], {}),
        ([], {"persistence": "error"}),
        (["--appendonly", "yes", "--maxmemory-policy", "allkeys-lru"], {"eviction": "warning"}),
        (
            ["--appendonly", "yes", "--maxmemory-policy", "volatile-ttl", "--maxmemory", "50mb"],
            {"eviction": "error"},
        ),
        (["--rename-command", "CONFIG", ""], {"persistence": "warning"}),
        (["--rename-command", "CONFIG", "", "--appendonly", "yes"], {}),
        (
            ["--rename-command", "CONFIG", "", "--rename-command", "INFO", ""],
            {"persistence": "warning", "eviction": "warning"},
        ),
    ],
)
def test_a_redis_that_forgets_is_told(
    tmp_path: Path, options: list[str], expected: dict[str, str]
) -> None:
    """No persistence and eviction are errors; what a managed Redis does not tell is a warning."""
    with redis_with(tmp_path, *options) as port, redis.Redis(port=port) as client:
        facts = read_facts(client)

    assert expected == levels([persistence(facts), eviction(facts)])


def test_the_fix_of_a_redis_that_forgets_mends_it(redis_server: Any) -> None:
    """The lines the doctor gives are typed as they are, and it has nothing more to say."""
    client = redis_server.client
    client.config_set("maxmemory-policy", "allkeys-lfu")
    facts = read_facts(client)

    for finding in (persistence(facts), eviction(facts)):
        (line,) = (line for line in finding.fix.splitlines() if line.startswith("  "))
        type_redis_cli(line, redis_server)

    wait_until(lambda: not writes_first_file(client), what="the append-only file")
    after = read_facts(client)
    assert {} == levels([persistence(after), eviction(after)])


def test_a_broker_that_forgets_is_told(tmp_path: Path, redis_server: Any) -> None:
    """The check runs if the broker has a separate Redis server, not only another database."""
    with redis_with(tmp_path, "--maxmemory-policy", "allkeys-lru") as port:
        broker = f"redis://127.0.0.1:{port}"
        app = Celery("proj", broker=f"{broker}/1", set_as_current=False)

        other = broker_eviction(app, Settings(redis_url=redis_server.url), 2.0)
        same = broker_eviction(app, Settings(redis_url=f"{broker}/2"), 2.0)

    assert {"broker-eviction": "warning"} == levels(other)
    assert [] == same


def test_snapshots_alone_are_a_warning(redis_server: Any) -> None:
    """They lose what was paid since the last one."""
    redis_server.client.config_set("save", "60 1")

    assert "warning" == persistence(read_facts(redis_server.client)).level


def test_redis_and_broker_that_do_not_answer(tmp_path: Path) -> None:
    """Both are errors in one complete report without passwords; the exit code is 1."""
    env = environment(
        {
            "MULEQUEUE_REDIS_URL": NOWHERE,
            "MULEROUTER_API_KEY": KEY,
            "MULEROUTER_BASE_URL": "http://127.0.0.1:9",
        }
    )

    done = runs_in(tmp_path, env)("doctor")

    assert 1 == done.returncode, done.stderr
    wrong = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("error")}
    assert {"redis", "broker"} == wrong
    assert "warning key" in done.stdout
    assert "ok      storage " in done.stdout
    assert "pass-1234" not in done.stdout + done.stderr
    assert KEY not in done.stdout + done.stderr


def test_a_hasty_client_asks_once(redis_server: Any) -> None:
    """It has the ledger's own way to connect, without its patience."""
    with probe_connection(redis_server.url, 0.2) as client:
        assert client.ping()
        with pytest.raises(redis.TimeoutError):
            client.blpop(["nothing"], timeout=5)


def test_a_redis_that_is_not_trusted_is_told_as_such(tmp_path: Path) -> None:
    """The reason is TLS: the fix names the CA bundle instead of starting another server."""
    with redis_with_tls(tmp_path, ca=WHOLE_CA) as (port, _):
        url = f"rediss://localhost:{port}/0"
        with probe_connection(url, 5) as client, pytest.raises(redis.ConnectionError) as failed:
            client.ping()

    finding = unreachable(url, failed.value, "mulequeue_redis_url")

    assert "is not trusted" in finding.text
    assert "ssl_ca_certs" in finding.fix
    assert "redis-server" not in finding.fix
