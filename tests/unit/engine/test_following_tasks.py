"""What follows a message tells it from another message of the same task id."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery, chord, group, signature
from celery.backends.rpc import RPCBackend
from kombu.utils import json

from mulequeue.engine.following_tasks import tail_of, tail_of_message

Digest = Callable[..., str]


@pytest.fixture
def app() -> Iterator[Celery]:
    """An app that sends nothing."""
    app = Celery("following", broker="memory://", backend="cache+memory://", set_as_current=True)
    app.finalize()
    yield app
    app.close()


@pytest.fixture
def digest(app: Celery) -> Digest:
    """The digest of the first message of a canvas, as a worker receives it."""
    sent: list[dict[str, Any]] = []

    def send_message(producer: Any, name: str, message: Any, **options: Any) -> None:
        args, kwargs, embed = json.loads(json.dumps(message.body))
        headers, properties = message.headers, message.properties
        sent.append({**headers, **properties, **embed, "args": args, "kwargs": kwargs})

    app.amqp.__dict__["send_task_message"] = send_message

    def found(canvas: Any, **other: Any) -> str:
        sent.clear()
        canvas.apply_async()
        task = app.tasks["mulequeue.generate"]
        task.push_request(**{**sent[0], **other})
        try:
            return tail_of(task)
        finally:
            task.pop_request()

    return found


def hero(**options: Any) -> Any:
    """A generation with an id of the user's own."""
    return signature(
        "mulequeue.generate", ("alibaba/wan2.6-t2i", {"prompt": "a"}), options={"task_id": "hero"}
    ).set(**options)


def step(name: str, task_id: str | None = None) -> Any:
    """A task of the user's own."""
    found = signature(name)
    return found if task_id is None else found.set(task_id=task_id)


def test_call_without_following_tasks(digest: Digest) -> None:
    """A call alone, in a group, or inside of a task has nothing to go on with."""
    assert "" == digest(hero())
    assert "" == digest(group([hero(), hero()]))
    assert "" == digest(hero(), parent_id="task-1", root_id="task-1", reply_to="queue-1")


CANVASES: dict[str, Callable[[], Any]] = {
    "chain": lambda: hero() | step("user.a", "a"),
    "chain with another id": lambda: hero() | step("user.a", "b"),
    "chain with another task": lambda: hero() | step("user.b", "a"),
    "longer chain": lambda: hero() | step("user.a", "a") | step("user.b", "b"),
    "link": lambda: hero(link=[step("user.a")]),
    "another link": lambda: hero(link=[step("user.b")]),
    "link_error": lambda: hero(link_error=[step("user.a")]),
    "chord": lambda: chord([hero(), step("user.a")], step("user.a", "a")).set(task_id="c"),
    "another body": lambda: chord([hero(), step("user.a")], step("user.b", "b")).set(task_id="d"),
    "group behind": lambda: hero() | group([step("user.a", "a"), step("user.b", "b")]),
    "another group behind": lambda: hero() | group([step("user.a", "a"), step("user.c", "b")]),
    "chord behind": lambda: hero() | chord([step("user.a", "a")], step("user.b", "b")),
}


def test_each_canvas_has_a_digest(digest: Digest) -> None:
    """Two canvases with other tasks, or other ids, behind the same generation differ."""
    found = {name: digest(make()) for name, make in CANVASES.items()}

    assert len(found) == len(set(found.values())), found
    assert "" not in found.values()


@pytest.mark.parametrize("name", CANVASES)
def test_repeated_call_has_the_same_digest(digest: Digest, name: str) -> None:
    """A call that is repeated by another process, or retried by the worker, is the same."""
    make = CANVASES[name]

    first = digest(make())

    assert first == digest(make(), reply_to="another process", origin="gen2@elsewhere")
    assert first == digest(make(), parent_id="hero")


def test_random_ids_are_another_canvas(digest: Digest) -> None:
    """Celery gives the next step of each chain its own id, so both chains can go on."""
    assert digest(hero() | step("user.a")) != digest(hero() | step("user.a"))


def test_links_of_two_tasks_are_two_canvases(digest: Digest) -> None:
    """A linked task has no id before it runs; the task that made the call tells two calls apart."""
    first, second = (digest(hero(link=[step("user.a")]), parent_id=name) for name in "ab")

    assert first != second


def test_members_of_one_chord_differ(digest: Digest) -> None:
    """The same id twice in a chord is two members."""
    first, second = (digest(CANVASES["chord"](), group_index=index) for index in (0, 1))

    assert first != second


def test_what_is_added_on_the_way_does_not_count(digest: Digest) -> None:
    """A retry policy, headers and stamps of a following task do not make another canvas."""
    plain, decorated = step("user.a", "a"), step("user.a", "a")
    decorated.set(retry_policy={"max_retries": 60}, headers={"traceparent": "00"}, priority=3)

    assert digest(hero() | plain) == digest(hero() | decorated)


def test_replies_of_rpc_belong_to_their_caller(
    digest: Digest, app: Celery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backend rpc:// sends a result to one process, so each caller is a canvas."""
    monkeypatch.setattr(Celery, "backend", RPCBackend(app))

    first, second = (digest(hero(), reply_to=name) for name in ("one", "other"))

    assert "" not in (first, second)
    assert first != second


@pytest.mark.parametrize("name", CANVASES)
def test_worker_that_publishes_a_message_knows_its_digest(
    app: Celery, digest: Digest, name: str
) -> None:
    """A message has the same digest before it is published, by its options, and where it arrives."""
    published: list[str] = []

    def record(args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        published.append(tail_of_message(options))
        return send(args, kwargs, **options)

    task = app.tasks["mulequeue.generate"]
    send = task.apply_async
    task.apply_async = record

    found = digest(CANVASES[name]())

    assert found == published[0]
