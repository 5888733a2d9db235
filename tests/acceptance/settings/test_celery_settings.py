"""Settings that teams have in their Celery configuration, one row each."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.project import Project
from support.redis_server import RedisServer

ROWS = {
    "defaults": "",
    "time_limit": "task_time_limit = 30; task_soft_time_limit = 25",
    "ignore_result": "task_ignore_result = True",
    "acks_early": "task_acks_late = False",
    "track_started": "task_track_started = True; result_extended = True",
    "no_events": "worker_send_task_events = False; task_send_sent_event = False",
    "no_remote_control": "worker_enable_remote_control = False",
    # Celery may take five seconds to replace a process.
    "few_tasks_per_child": "worker_max_tasks_per_child = 4",
    "no_missing_queues": "task_create_missing_queues = False",
    "default_queue": "task_default_queue = 'images'",
    "task_queues": """
from kombu import Exchange, Queue
task_queues = [
    Queue("plain"),
    Queue("media", Exchange("media", type="topic"), routing_key="media.#"),
]
task_default_queue = "plain"
task_default_exchange = "media"
task_default_exchange_type = "topic"
task_default_routing_key = "media.default"
task_create_missing_queues = False
""",
    "routes": """
task_routes = {
    "mulequeue.generate*": {"queue": "submits"},
    "mulequeue.download": {"queue": "transfers"},
    "mulequeue.*": {"queue": "elsewhere"},
    "proj.*": {"queue": "own"},
}
from kombu import Queue
task_queues = [Queue(name) for name in ("submits", "transfers", "own", "celery")]
""",
    "pickle": """
task_serializer = result_serializer = "pickle"
accept_content = ["pickle"]
""",
    "msgpack": """
task_serializer = result_serializer = "msgpack"
accept_content = ["msgpack", "json"]
""",
    "compression": "task_compression = result_compression = 'gzip'",
    "local_time": "enable_utc = False; timezone = 'Asia/Kolkata'",
    "other_timezone": "timezone = 'America/New_York'",
    "protocol_1": "task_protocol = 1",
    "no_broker_pool": "broker_pool_limit = 0",
    "priorities": "task_default_priority = 5; broker_transport_options = {'queue_order_strategy': 'priority'}",
    "rate_limit": "task_annotations = {'*': {'rate_limit': '10/s'}}",
    "default_rate_limit": "task_default_rate_limit = '10/s'",
    "annotated": """
task_annotations = {"*": {"acks_late": False, "track_started": True, "time_limit": 20, "trail": True}}
""",
}
NEEDS = {"msgpack": "msgpack"}


@pytest.mark.parametrize("row", ROWS)
def test_a_project_with(row: str, project: Callable[..., Project], redis: RedisServer) -> None:
    """A chain and a chord go through, whatever the project's Celery settings are."""
    if row in NEEDS:
        pytest.importorskip(NEEDS[row])
    team = project(f"broker_url = result_backend = {redis.url!r}\n{ROWS[row]}\n")
    team.worker()

    team.check()


@pytest.mark.parametrize("pool", ["prefork", "threads", "gevent", "solo"])
def test_a_worker_with_the_pool(
    pool: str, project: Callable[..., Project], redis: RedisServer
) -> None:
    """A chain and a chord go through on every pool."""
    if pool == "gevent":
        pytest.importorskip("gevent")
    team = project(f"broker_url = result_backend = {redis.url!r}\n")
    team.worker("-P", pool)

    team.check()


@pytest.mark.parametrize(
    "limit", ["task_annotations = {'*': {'rate_limit': '1/h'}}", "task_default_rate_limit = '1/h'"]
)
def test_rate_limits_do_not_hold_up_what_was_submitted(
    limit: str, project: Callable[..., Project], redis: RedisServer
) -> None:
    """With one task an hour allowed, the first generation is polled, woken and stored at once."""
    team = project(f"broker_url = result_backend = {redis.url!r}\n{limit}\n")
    team.worker()

    kept = team.chain()

    assert "succeeded" == team.outcome(kept)["status"]


def test_yaml_takes_a_single_generation(
    project: Callable[..., Project], redis: RedisServer
) -> None:
    """A generation goes through with YAML messages. (Celery cannot write a chain in YAML.)"""
    pytest.importorskip("yaml")
    team = project(f"""
broker_url = result_backend = {redis.url!r}
task_serializer = result_serializer = "yaml"
accept_content = ["yaml"]
""")
    team.worker()

    outcome = team.generate("a mule").delay().get(timeout=25)

    assert "succeeded" == outcome["status"]


def test_what_json_cannot_hold_is_refused_before_anything_is_paid(
    project: Callable[..., Project], redis: RedisServer
) -> None:
    """With pickle, an argument behind a generation that JSON cannot hold fails it, unsent."""
    team = project(f"""
broker_url = result_backend = {redis.url!r}
task_serializer = result_serializer = "pickle"
accept_content = ["pickle"]
""")
    team.worker()

    first = team.generate("a mule").set(link=team.task("proj.keep", 1 + 2j)).delay()

    with pytest.raises(Exception, match="JSON"):
        first.get(timeout=25)
    assert 0 == team.emulator.stats()["creates"]
