"""Shapes of projects: how they are configured, and which workers they run."""

from __future__ import annotations

from collections.abc import Callable

from support.project import Project
from support.redis_server import RedisServer


def test_a_namespace_as_django_projects_have_it(
    project: Callable[..., Project], redis: RedisServer
) -> None:
    """With config_from_object(…, namespace="CELERY") our settings are CELERY_MULEQUEUE_…."""
    team = project(
        f"""
CELERY_BROKER_URL = CELERY_RESULT_BACKEND = {redis.url!r}
CELERY_MULEQUEUE_FLEET = "shop"
CELERY_MULEQUEUE_API_KEY = "sk-mr-of-the-shop"
SECRET_KEY = "not Celery's"
""",
        namespace="CELERY",
        env={"MULEROUTER_API_KEY": ""},
    )
    team.worker()

    team.check()
    assert redis.client.keys("mulequeue:{shop}:record:*")


def test_tasks_found_by_include(project: Callable[..., Project], redis: RedisServer) -> None:
    """An app that imports nothing of ours has the tasks with include=["mulequeue.tasks"]."""
    team = project(
        f"""
broker_url = result_backend = {redis.url!r}
include = ["mulequeue.tasks"]
""",
        imports="",
    )
    team.worker()

    team.check()


def test_workers_with_named_queues(project: Callable[..., Project], redis: RedisServer) -> None:
    """A worker whose -Q lacks our queues says so at start; a poller beside it does the rest."""
    team = project(f"broker_url = result_backend = {redis.url!r}")
    web = team.worker("-Q", "celery")
    team.worker("-Q", "mulequeue.poll,mulequeue.wake", "-c", "1")

    team.check()
    assert "this worker does not consume mulequeue.poll and mulequeue.wake" in web.text
    assert "worker -Q mulequeue.poll,mulequeue.wake" in web.text


def test_named_queues_without_missing_ones(
    project: Callable[..., Project], redis: RedisServer
) -> None:
    """A worker with -Q publishes to our queues although it may not create missing ones."""
    team = project(f"""
from kombu import Queue
broker_url = result_backend = {redis.url!r}
task_create_missing_queues = False
task_queues = [Queue("celery"), Queue("mulequeue.poll"), Queue("mulequeue.wake")]
""")
    team.worker("-Q", "celery")
    team.worker("-Q", "mulequeue.poll,mulequeue.wake", "-c", "1")

    team.check()


def test_cancel_from_the_web_process(project: Callable[..., Project], redis: RedisServer) -> None:
    """A process that only sends may cancel, although it may not create missing queues."""
    team = project(f"""
broker_url = result_backend = {redis.url!r}
task_create_missing_queues = False
""")
    team.emulator.faults(lives=[{"end": "never"}])
    team.worker()
    task_id = team.generate("a mule", on_failure="return").apply_async().id
    team.emulator.wait(created=1)

    team.run(f"import proj, mulequeue; mulequeue.cancel({task_id!r})")

    outcome = team.app.AsyncResult(task_id).get(timeout=25)
    assert "cancelled" == outcome["status"]
