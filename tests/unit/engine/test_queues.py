"""Which messages are behind the others of their queue."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery

from mulequeue import download, generate, generate_from
from mulequeue.engine.queues import CREATE_PRIORITY, call_priority, create_priority, wake_priority

BEHIND = {"priority": CREATE_PRIORITY}


def bound(task: Any, broker: str, **conf: Any) -> Any:
    """The task of an app with this broker and these settings."""
    app = Celery("queues", broker=broker, set_as_current=False)
    app.conf.update(conf)
    return app.tasks[task.name]


@pytest.mark.parametrize("broker", ["redis://h/0", "rediss://h/0", "sentinel://h:26379"])
def test_new_generations_are_behind_others_on_redis(broker: str) -> None:
    """Their downloads, and what continues a chain, are not."""
    assert BEHIND == create_priority(bound(generate, broker))
    assert {} == create_priority(bound(download, broker))
    assert {} == create_priority(bound(generate_from, broker))


@pytest.mark.parametrize(
    "options", [{"chain": [{}]}, {"link": [{}]}, {"chord": {"task": "body"}}, {"group_id": "g"}]
)
def test_a_single_generation_is_not_behind_others(options: dict[str, Any]) -> None:
    """With something behind it, or in a batch, it is: those messages would wait for creates."""
    task = bound(generate, "redis://h/0")

    assert {} == call_priority(task, {}, {"link": None, "chain": None})
    assert BEHIND == call_priority(task, {}, options)
    assert BEHIND == call_priority(task, {"batch_id": "b"}, {})
    assert BEHIND == call_priority(task.app.tasks["mulequeue.generate_many"], {}, {})


@pytest.mark.parametrize(
    ("broker", "conf"),
    [
        ("amqp://h//", {}),
        ("memory://", {}),
        ("redis://h/0", {"task_default_priority": 5}),
        ("redis://h/0", {"task_annotations": {"mulequeue.generate": {"priority": 0}}}),
    ],
)
def test_priorities_of_the_project_are_kept(broker: str, conf: dict[str, Any]) -> None:
    """Other brokers order priorities the other way; a default or an annotation decides itself."""
    assert {} == create_priority(bound(generate, broker, **conf))


def test_a_wake_is_not_behind_others() -> None:
    """A wake has the priority of the caller, or none."""
    task = bound(generate, "redis://h/0")

    assert [0, 7, None] == [wake_priority(task, given) for given in (CREATE_PRIORITY, 7, None)]
    assert CREATE_PRIORITY == wake_priority(bound(generate, "amqp://h//"), CREATE_PRIORITY)
