"""What a process knows of lives: read in the background, and never waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from support.generation_requests import make_generation_request

from mulequeue.engine.generation_call import CallOptions
from mulequeue.engine.generation_request import GenerationRequest
from mulequeue.engine.poll.poll_plan import DurationCache, PollPlan, first_wait
from mulequeue.engine.worker_context import WorkerContext
from mulequeue.ledger import DurationSample
from mulequeue.settings import Settings

PATH = "alibaba/v1/wan2.6-t2i/generation"
TWELVE = [DurationSample(12.0, 12.0, 50)]
OWN, LEARNED = 5.0, pytest.approx(12.0)


class Process:
    """A runtime whose ledger knows lives, or is away, and which is never waited for."""

    shared: Any = WorkerContext.shared

    def __init__(self, samples: list[DurationSample] | None, **settings: Any) -> None:
        self.settings = Settings(api_key="key", **settings)
        self.ledger = self.queries = self
        self.state, self.reads = dict[Any, Any](), 0
        self._lives = samples

    def durations(self, path: str) -> list[DurationSample]:
        self.reads += 1
        if self._lives is None:
            raise RedisConnectionError("away")
        return self._lives

    async def call(self, function: Callable[..., Any], *args: Any) -> Any:
        return function(*args)

    def plan(self, **call: Any) -> GenerationRequest:
        return make_generation_request(
            self.settings, "alibaba/wan2.6-t2i", {"prompt": "a mule"}, CallOptions(**call)
        )

    def first(self, **call: Any) -> float:
        return first_wait(cast(WorkerContext, self), self.plan(**call), 0.5)

    def cadence(self) -> PollPlan | None:
        return self.shared(DurationCache).plan(PATH)


def on_a_loop(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


async def after_reading(process: Process, **call: Any) -> float:
    """The first wait of a generation after another one of its model."""
    process.first()
    await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))
    return process.first(**call)


def test_the_first_of_a_process_waits_for_nothing() -> None:
    """It goes by its model's schedule; what it had read is there for the next one, and read once."""
    process = Process(TWELVE)

    async def run() -> tuple[float, float, float]:
        return process.first(), await after_reading(process), await after_reading(process)

    assert (OWN, LEARNED, LEARNED) == on_a_loop(run())
    assert 1 == process.reads


@pytest.mark.parametrize(
    ("samples", "settings"),
    [([], {}), (None, {}), (TWELVE, {"learn_cadence": False})],
    ids=["nothing known", "Redis away", "switched off"],
)
def test_without_lessons_the_models_schedule_stands(samples: Any, settings: Any) -> None:
    """Nothing is known yet, the ledger does not answer, or learning is switched off."""
    process = Process(samples, **settings)

    assert OWN == on_a_loop(after_reading(process))
    assert bool(settings) == (process.reads == 0)


def test_an_interval_of_the_callers_own_stands() -> None:
    """Whatever is known."""
    assert 3.0 == on_a_loop(after_reading(Process(TWELVE), poll_interval=3.0))


@pytest.mark.parametrize(("max_wait", "wait"), [(2, OWN), (9, 9.0), (900, LEARNED)])
def test_what_may_wait_less_is_looked_at_sooner(max_wait: float, wait: float) -> None:
    """The first check comes by the deadline, which only a check can settle, or by the own schedule."""
    assert wait == on_a_loop(after_reading(Process(TWELVE), max_wait=max_wait))
