"""Brokers and result backends that teams have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.project import Project
from support.rabbitmq_server import RabbitServer
from support.redis_server import RedisServer

QUORUM_EVERYWHERE = "task_default_queue_type = task_create_missing_queue_type = 'quorum'"
BROKERS = {
    "classic": "",
    "quorum": "task_default_queue_type = 'quorum'",
    "quorum_everywhere": QUORUM_EVERYWHERE,
    "priorities": "task_queue_max_priority = 10; task_default_priority = 5",
    "no_missing_queues": "task_create_missing_queues = False",
}


@pytest.fixture
def rabbit_project(
    project: Callable[..., Project], rabbit: RabbitServer, redis: RedisServer
) -> Callable[[str], Project]:
    """Builds projects with that much more in their settings; Redis has the ledger and the results."""

    def make(more: str) -> Project:
        return project(f"""
broker_url = {rabbit.url!r}
result_backend = mulequeue_redis_url = {redis.url!r}
{more}
""")

    return make


@pytest.mark.parametrize("row", BROKERS)
def test_rabbitmq(row: str, rabbit_project: Callable[[str], Project]) -> None:
    """A chain and a chord go through RabbitMQ, on classic and on quorum queues."""
    team = rabbit_project(BROKERS[row])
    team.worker()

    team.check()


def test_workers_with_and_without_named_queues_share_a_rabbitmq(
    rabbit_project: Callable[[str], Project],
) -> None:
    """A worker without -Q and a poller with -Q declare the internal queues alike."""
    team = rabbit_project(QUORUM_EVERYWHERE)
    team.worker()
    team.worker("-Q", "mulequeue.poll,mulequeue.wake")

    team.check()


def test_a_later_poll_message_does_not_hold_up_an_earlier_one(
    rabbit_project: Callable[[str], Project],
) -> None:
    """With quorum queues and a prefetch of one, what is due in a moment waits for no countdown."""
    team = rabbit_project(f"{QUORUM_EVERYWHERE}\nworker_prefetch_multiplier = 1")
    team.worker("-c", "1")

    team.chain("a slow mule", poll_interval=50)
    team.wait_for_countdown()
    kept = team.chain("a fast mule")

    assert "succeeded" == team.outcome(kept)["status"]


def test_results_by_rpc(project: Callable[..., Project], redis: RedisServer) -> None:
    """A chain's result comes back over rpc://, and a batch ends. (Celery has no chords with it.)"""
    team = project(f"broker_url = {redis.url!r}; result_backend = 'rpc://'")
    team.worker()

    chain = team.generate("a mule") | team.task("mulequeue.download")
    outcome = chain.delay().get(timeout=25)

    assert 1 == len(outcome["files"])
    assert 4 == len(team.outcome(team.batch()))
    with pytest.raises(NotImplementedError, match="chord"):
        team.chord()


def test_results_in_a_database(
    project: Callable[..., Project], redis: RedisServer, tmp_path: Path
) -> None:
    """A chain and a chord go through with a database as result backend."""
    pytest.importorskip("sqlalchemy")
    team = project(f"""
broker_url = {redis.url!r}
result_backend = "db+sqlite:///{tmp_path}/results.sqlite"
""")
    team.worker()

    team.check()


def test_no_results(project: Callable[..., Project], redis: RedisServer) -> None:
    """A chain and a batch go through without a result backend. (Celery has no chords then.)"""
    team = project(f"broker_url = {redis.url!r}")
    team.worker()

    assert 1 == len(team.outcome(team.chain())["files"])
    assert 4 == len(team.outcome(team.batch()))
    with pytest.raises(NotImplementedError):
        team.chord()
