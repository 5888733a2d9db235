"""Status checks that fail: for one generation, for one host, for everybody."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from celery import Celery
from redis import Redis
from support.ledger_world import World

import mulequeue.tasks  # noqa: F401  # the app's poll task
from mulequeue.api.status_checks import StatusClient
from mulequeue.engine.poll import circuit_breaker, decide
from mulequeue.engine.poll.sweep import sweep
from mulequeue.engine.worker_context import WorkerContext
from mulequeue.net.connection import NotConnected
from mulequeue.net.raw_response import RawResponse
from mulequeue.net.status_connections import StatusConnectionPool
from mulequeue.settings import Settings

Answer = Callable[[str], RawResponse]


def no_connection(name: str) -> RawResponse:
    raise NotConnected("no connection") from OSError("Cannot connect to the proxy")


def error(name: str) -> RawResponse:
    return RawResponse(status=500, body=b'{"title": "no such model"}', is_complete=True)


def done(name: str) -> RawResponse:
    body = {"task_info": {"id": name, "status": "completed"}, "images": ["https://a.test/1.png"]}
    return RawResponse(status=200, body=json.dumps(body).encode(), is_complete=True)


def active(name: str) -> RawResponse:
    body = {"task_info": {"id": name, "status": "processing"}}
    return RawResponse(status=200, body=json.dumps(body).encode(), is_complete=True)


class Worker:
    """A process of a fleet: it checks what is due, over a transport that the test writes."""

    def __init__(self, redis: Redis, answer: Answer) -> None:
        port = redis.connection_pool.connection_kwargs["port"]
        settings = Settings(api_key="sk-mr-key", redis_url=f"redis://127.0.0.1:{port}")
        self.ctx = WorkerContext(Celery(set_as_current=False), settings)
        self.ledger = self.ctx.ledger
        self.answer = answer
        self.checked: list[str] = []

        async def connect() -> None:
            self.ctx._checks = StatusClient(lambda profile: cast(StatusConnectionPool, self))

        self.ctx.run(connect())

    async def get(self, target: str, **options: Any) -> RawResponse:
        name = target.rpartition("/")[2]
        self.checked.append(name)
        await asyncio.sleep(0.01)  # the checks of a sweep are made together
        return self.answer(name)

    def close(self) -> None:
        """Nothing is open."""

    def sweep(self) -> None:
        """Check what is due now, whatever message is on its way."""
        self.ledger.redis.delete(f"{self.ledger.prefix}poll")
        message = self.ledger.polling.schedule(self.ledger.queries.now())
        assert message is not None
        sweep(self.ctx, message.token)

    def check_now(self, *names: str) -> None:
        """Make generations due now, and check them."""
        now = self.ledger.queries.now()
        self.ledger.redis.zadd(f"{self.ledger.prefix}due", dict.fromkeys(names, now))
        self.sweep()

    def sweep_until(self, condition: Callable[[], Any], seconds: float = 90.0) -> None:
        """One sweep after the other until the condition holds; what a pause defers is spread over ten seconds."""
        ends = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < ends
            self.sweep()
            time.sleep(0.02)


@pytest.fixture
def start(redis: Redis) -> Iterator[Callable[[Answer], Worker]]:
    """Start processes of one fleet."""
    workers: list[Worker] = []

    def start(answer: Answer) -> Worker:
        workers.append(Worker(redis, answer))
        return workers[-1]

    yield start
    for worker in workers:
        worker.ctx.close()


@pytest.fixture(autouse=True)
def _shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first waits are short; a pause that should not be is so long that no test sees its end."""
    monkeypatch.setattr(decide, "ERROR_FIRST_SECONDS", 0.05)
    monkeypatch.setattr(circuit_breaker, "EARLY_PROBE_SECONDS", 0.0)


def pause_for(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(circuit_breaker, "PAUSE_FIRST_SECONDS", seconds)
    monkeypatch.setattr(circuit_breaker, "PAUSE_CEILING_SECONDS", seconds)


def due_now(worker: Worker, redis: Redis, *names: str) -> None:
    """Generations that are to be checked at once; their remote ids are their names."""
    world = World(redis)
    world.ledger, world.profile = worker.ledger, worker.ctx.settings.profile()
    for name in names:
        world.record_id(world.submit(name), name, first_poll_seconds=0, max_wait_seconds=3600)


def records(worker: Worker, names: list[str]) -> list[Any]:
    return worker.ledger.queries.records(names)


MAX_PROBES = 16
"""In one window of a pause, as in ``claim.lua``."""
POISON = [f"poison-{number}" for number in range(40)]
HEALTHY = [f"healthy-{number}" for number in range(20)]


def only_poison_fails(name: str) -> RawResponse:
    return error(name) if name.startswith("poison") else done(name)


def test_generations_that_always_fail_pause_nothing_for_long(
    start: Any, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many that fail at once look like an outage, until the first generation without errors is due."""
    pause_for(monkeypatch, 3600)
    worker = start(only_poison_fails)
    due_now(worker, redis, *POISON)
    worker.sweep_until(lambda: worker.ledger.polling.pause_of("default"))

    due_now(worker, redis, HEALTHY[0])
    worker.sweep_until(lambda: records(worker, HEALTHY[:1])[0].is_over)

    assert worker.ledger.polling.pause_of("default") is None
    for _ in range(3):
        worker.check_now(*POISON)
    assert all(record.errors > 2 for record in records(worker, POISON))
    assert worker.ledger.polling.pause_of("default") is None


def test_one_among_hundreds_that_always_fail_is_found(
    start: Any, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The probes of a pause pass through generations that fail, to the one that ends it."""
    pause_for(monkeypatch, 3600)
    worker = start(only_poison_fails)
    names = [*(f"poison-{number}" for number in range(200)), "zebra"]  # due in this order
    due_now(worker, redis, *names)
    worker.sweep_until(lambda: worker.ledger.polling.pause_of("default"))
    assert "zebra" not in worker.checked

    for _ in range(2 * len(names) // MAX_PROBES):
        redis.hset(f"{worker.ledger.prefix}pollgate:default", "probe", 0)  # the next window
        worker.check_now(*names)

    assert "succeeded" == records(worker, ["zebra"])[0].status
    assert worker.ledger.polling.pause_of("default") is None


def test_a_pause_names_its_reason(start: Any, redis: Redis) -> None:
    """While nobody is answered the profile pauses, and the ledger has the reason and the end."""
    worker = start(error)
    due_now(worker, redis, *HEALTHY)

    worker.sweep()

    until, reason = worker.ledger.polling.pause_of("default")
    assert until > worker.ledger.queries.now()
    assert "HTTP 500: no such model" == reason


def test_a_429_is_obeyed_by_all(start: Any, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first 429 pauses the profile, and no generation is checked before the pause ends."""
    pause_for(monkeypatch, 3600)
    refused = RawResponse(status=429, body=b"{}", is_complete=True)
    worker = start(lambda name: refused)
    due_now(worker, redis, HEALTHY[0])
    worker.sweep()
    asked = len(worker.checked)
    due_now(worker, redis, *HEALTHY[1:])

    for _ in range(3):
        worker.sweep()

    assert asked == len(worker.checked)


def test_one_that_is_always_refused_pauses_once(
    start: Any, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A generation that alone gets 429 counts the first time only."""
    pause_for(monkeypatch, 0.2)
    refused = RawResponse(status=429, body=b"{}", is_complete=True)
    worker = start(lambda name: refused if name.startswith("poison") else active(name))
    due_now(worker, redis, POISON[0])
    worker.sweep_until(lambda: worker.ledger.polling.pause_of("default"))
    due_now(worker, redis, HEALTHY[0])
    worker.sweep_until(lambda: HEALTHY[0] in worker.checked)
    pauses: list[Any] = []

    worker.sweep_until(
        lambda: (
            pauses.append(worker.ledger.polling.pause_of("default"))
            or records(worker, POISON[:1])[0].errors > 3
        )
    )

    assert {None} == set(pauses)


def wrong_route(name: str) -> RawResponse:
    return RawResponse(status=404, body=b"<html>no such page</html>", is_complete=True)


def test_what_nobody_is_told_ends_nothing(start: Any, redis: Redis) -> None:
    """Beyond its deadline a generation that is never answered ends only if the API answers another."""
    worker = start(wrong_route)
    due_now(worker, redis, "lost", "found")
    for name in ("lost", "found"):
        redis.hset(f"{worker.ledger.prefix}record:{name}", "deadline", 1)
    for _ in range(decide.ERRORS_TO_GIVE_UP + 1):
        worker.check_now("lost", "found")
    assert {"generating"} == {record.state for record in records(worker, ["lost", "found"])}

    worker.answer = lambda name: done(name) if name == "found" else wrong_route(name)
    for name in ("found", "lost"):
        worker.check_now(name)

    lost, found = records(worker, ["lost", "found"])
    assert ("timed_out", "succeeded") == (lost.status, found.status)
    assert "no such page" in lost.answer["error"]["detail"]


def test_a_host_without_connection_leaves_the_checks_to_others(
    start: Any, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """It asks once, says what to fix, and neither pauses the profile nor counts errors."""
    good, bad = start(active), start(no_connection)
    due_now(good, redis, "first")
    good.sweep()
    due_now(good, redis, *HEALTHY)
    good.answer = done

    with caplog.at_level(logging.WARNING, "mulequeue"):
        bad.sweep()

    found = records(bad, HEALTHY)
    assert {("generating", 0, 0, None)} == {(r.state, r.polls, r.errors, r.problem) for r in found}
    assert bad.ledger.polling.pause_of("default") is None
    (line,) = [r.getMessage() for r in caplog.records if "leaves the status checks" in r.message]
    assert "Cannot connect to the proxy" in line
    assert "HTTPS_PROXY" in line
    asked = len(bad.checked)
    bad.sweep()
    assert asked == len(bad.checked)
    good.sweep_until(lambda: all(record.is_over for record in records(good, HEALTHY)))


def test_it_makes_one_probe_and_then_takes_part_again(
    start: Any, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its pause the host makes one check; when that is answered it checks everything."""
    pause_for(monkeypatch, 0.1)
    good, bad = start(active), start(no_connection)
    due_now(good, redis, "first")
    good.sweep()
    due_now(good, redis, *HEALTHY)
    bad.sweep()
    bad.checked.clear()

    bad.sweep_until(lambda: bad.checked)
    assert 1 == len(bad.checked)
    bad.answer = done
    bad.sweep_until(lambda: all(record.is_over for record in records(bad, HEALTHY)))


@pytest.mark.parametrize("count", [1, 2])
def test_without_any_connection_the_profile_pauses(start: Any, redis: Redis, count: int) -> None:
    """If no process gets an answer it is an outage: the generations say so, and the checks pause."""
    workers = [start(no_connection) for _ in range(count)]
    due_now(workers[0], redis, *HEALTHY)

    for worker in workers:
        worker.sweep()

    assert workers[0].ledger.polling.pause_of("default") is not None
    problems = [record.problem for record in records(workers[0], HEALTHY) if record.problem]
    assert {("error", "OSError: Cannot connect to the proxy")} == {
        (it.kind, it.text) for it in problems
    }
