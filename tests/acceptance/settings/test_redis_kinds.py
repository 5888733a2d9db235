"""The ways a team's Redis is reached."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

import pytest
from support.private_ca import CA, WHOLE_CA
from support.project import Project
from support.redis_kinds import PASSWORD, Sentinels, redis_with, redis_with_tls
from support.redis_server import RedisServer


def test_a_key_prefix_of_celerys_own(project: Callable[..., Project], redis: RedisServer) -> None:
    """With Celery's global_keyprefix on broker and results everything goes through."""
    team = project(f"""
broker_url = result_backend = {redis.url!r}
broker_transport_options = result_backend_transport_options = {{"global_keyprefix": "team_"}}
""")
    team.worker()

    team.check()
    keys = [key.decode() for key in redis.client.scan_iter()]
    assert all(key.startswith(("team_", "mulequeue:{default}:")) for key in keys), keys


def test_two_fleets_on_one_redis(project: Callable[..., Project], redis: RedisServer) -> None:
    """Two fleets with their own names, queues and keys share a Redis and keep apart."""
    teams = []
    for name in ("red", "blue"):
        team = project(
            f"""
broker_url = result_backend = {redis.url!r}
task_default_queue = "{name}"
mulequeue_fleet = "{name}"
mulequeue_poll_queue = "{name}.poll"
mulequeue_wake_queue = "{name}.wake"
mulequeue_api_key = "sk-mr-{name}"
""",
            env={"MULEROUTER_API_KEY": ""},
        )
        team.worker()
        teams.append(team)

    kept = [team.chain(f"{number}") for number in range(4) for team in teams]

    assert ["succeeded"] * 8 == [teams[0].outcome(path)["status"] for path in kept]
    assert 8 == teams[0].emulator.stats()["creates"]
    for team in teams:
        assert 4 == team.logs.count("generation submitted")


def test_a_socket(servers: ExitStack, project: Callable[..., Project], tmp_path: Path) -> None:
    """Broker, results and ledger are reached over a Unix socket, named once."""
    servers.enter_context(redis_with(tmp_path, "--unixsocket", str(tmp_path / "redis.sock")))
    url = f"redis+socket://{tmp_path}/redis.sock"
    team = project(f"broker_url = result_backend = {url!r}")
    team.worker()

    team.check()


def test_a_password(servers: ExitStack, project: Callable[..., Project], tmp_path: Path) -> None:
    """A Redis with a password, named once in the broker's URL, also keeps the ledger."""
    port = servers.enter_context(redis_with(tmp_path, "--requirepass", PASSWORD))
    team = project(f"broker_url = result_backend = 'redis://:{PASSWORD}@127.0.0.1:{port}/1'")
    team.worker()

    team.check()
    assert PASSWORD not in team.logs


@pytest.mark.parametrize("how", ["settings", "url", "flags"])
def test_tls(how: str, servers: ExitStack, project: Callable[..., Project], tmp_path: Path) -> None:
    """A Redis behind TLS with a CA of its own, told to Celery once, also keeps the ledger.

    Flags that let a CA without key usage pass on every Python version hold for all three, too.
    """
    if how == "flags" and int(version("redis").partition(".")[0]) < 7:
        pytest.skip("redis-py 7 and newer know ssl_exclude_verify_flags")
    served = redis_with_tls(tmp_path, ca=CA if how == "flags" else WHOLE_CA)
    port, ca = servers.enter_context(served)
    url = f"rediss://localhost:{port}/0"
    if how == "url":
        url += f"?ssl_cert_reqs=required&ssl_ca_certs={ca}"
        settings = f"broker_url = result_backend = {url!r}"
    else:
        flags = '"ssl_exclude_verify_flags": [ssl.VERIFY_X509_STRICT],' if how == "flags" else ""
        settings = f"""
import ssl
broker_url = result_backend = {url!r}
broker_use_ssl = redis_backend_use_ssl = {{
    "ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_ca_certs": {str(ca)!r},
    {flags}
}}
"""
    team = project(settings)
    team.worker()

    team.check()


@pytest.mark.parametrize("how", ["derived", "given"])
def test_sentinel(
    how: str, servers: ExitStack, project: Callable[..., Project], tmp_path: Path
) -> None:
    """Behind Redis Sentinel the ledger follows the broker's master, named or taken over."""
    sentinels = servers.enter_context(Sentinels(tmp_path))
    hosts = [f"127.0.0.1:{port}" for port in sentinels.ports]
    url = ";".join(f"sentinel://{host}" for host in hosts)
    settings = f"""
broker_url = result_backend = {url!r}
broker_transport_options = result_backend_transport_options = {{"master_name": "mymaster"}}
"""
    if how == "given":
        settings += f"mulequeue_redis_url = 'redis+sentinel://{','.join(hosts)}/mymaster/2'\n"
    team = project(settings)
    team.worker()

    team.check()
