"""A file that takes long to read holds up its own submission, and nothing else."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from celery import Celery
from redis import Redis
from support.generation_requests import make_generation_request
from support.ledger_world import World
from support.raw_server import RawServer, http, raw_server

import mulequeue.tasks  # noqa: F401  # the app's poll task
from mulequeue.engine.generation_request import GenerationRequest, HostFault
from mulequeue.engine.submit.create import LATEST_START_SECONDS, Submission, steady_clock
from mulequeue.engine.worker_context import WorkerContext
from mulequeue.errors import AssetGone, InputError
from mulequeue.ledger import Intent
from mulequeue.settings import Settings

ACCEPTED = json.dumps({"task_info": {"id": "remote-1", "status": "pending"}})


@pytest.fixture
def api() -> Iterator[RawServer]:
    with raw_server(http("202 Accepted", ACCEPTED)) as server:
        yield server


@pytest.fixture
def runtime(redis: Redis, api: RawServer) -> Iterator[WorkerContext]:
    port = redis.connection_pool.connection_kwargs["port"]
    app = Celery(broker="memory://", set_as_current=False)
    url = f"redis://127.0.0.1:{port}"
    found = WorkerContext(app, Settings(api_key="key", base_url=api.url, redis_url=url))
    yield found
    found.close()


@pytest.fixture
def plan(runtime: WorkerContext) -> GenerationRequest:
    return make_generation_request(runtime.settings, "alibaba/wan2.6-t2i", {"prompt": "a mule"})


def submitting(runtime: WorkerContext, plan: GenerationRequest) -> Intent:
    """A delivery that was told to POST."""
    intent = Intent(
        task_id="t",
        run="run",
        profile=plan.profile,
        path=plan.path,
        signature={"task": "mulequeue.generate", "args": [], "kwargs": {}, "options": {}},
        digest=plan.digest,
    )
    assert "submit" == runtime.ledger.generations.begin_delivery(intent, submit_seconds=60).action
    return intent


def test_a_submission_goes_on_after_a_slow_read(
    runtime: WorkerContext, plan: GenerationRequest, api: RawServer
) -> None:
    """Read too late for its first lease, the input is sent once, under a lease of full length."""
    intent = submitting(runtime, plan)
    began = steady_clock() - LATEST_START_SECONDS - 5

    runtime.run(Submission(runtime, plan, intent, {}).send(began))

    record = runtime.ledger.queries.record("t")
    assert record is not None
    assert ("generating", "remote-1") == (record.state, record.remote_id)
    assert 1 == len(api.requests)
    assert runtime.ledger.limits.submission_statuses(["default"])[0].paused_until is None


def test_what_was_settled_meanwhile_is_not_sent(
    runtime: WorkerContext, plan: GenerationRequest, api: RawServer
) -> None:
    """When the lease ended while the input was read, its outcome stands and nothing leaves."""
    intent = submitting(runtime, plan)
    runtime.ledger.generations.settle_submit(intent, "submit_unknown", None)
    began = steady_clock() - LATEST_START_SECONDS - 5

    runtime.run(Submission(runtime, plan, intent, {}).send(began))

    assert [] == api.requests


@pytest.mark.parametrize("is_local", [True, False])
def test_asset_of_the_input_cannot_be_read_again(
    runtime: WorkerContext, plan: GenerationRequest, api: RawServer, is_local: bool
) -> None:
    """A fault of this host leaves the generation to others, another one fails it; nothing is sent."""

    def refresh_input(settings: Settings) -> dict[str, str]:
        raise (HostFault if is_local else AssetGone)("the API does not answer")

    plan = replace(plan, refresh_input=refresh_input)
    intent = submitting(runtime, plan)

    runtime.run(Submission(runtime, plan, intent, {}).send(steady_clock()))

    record = runtime.ledger.queries.record("t")
    assert record is not None
    found = (record.state, record.status, record.answer.get("error", {}).get("title"))
    failed = ("settled", "failed", "the API does not answer")
    assert found == (("waiting", None, None) if is_local else failed)
    assert [] == api.requests


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EIO, "Input/output error"),
        FileNotFoundError(errno.ENOENT, "No such file"),
        PermissionError(errno.EACCES, "Permission denied"),
        MemoryError(),
        InputError("the file is gone"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_input_that_cannot_be_read_is_refused_at_once(
    runtime: WorkerContext,
    plan: GenerationRequest,
    api: RawServer,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    """Nothing was sent, so the outcome is a failure, and not one that may be billed."""
    intent = submitting(runtime, plan)

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(GenerationRequest, "body", fail)
    runtime.run(Submission(runtime, plan, intent, {}).send(steady_clock()))

    record = runtime.ledger.queries.record("t")
    assert record is not None
    assert ("settled", "failed") == (record.state, record.status)
    assert "InputError" == record.answer["error"]["type"]
    assert [] == api.requests


def test_only_its_own_run_prolongs_a_lease(world: World) -> None:
    """The lease begins anew for the run that holds it; another one, or a settled task, gets none."""
    mine, other = world.submit("t"), world.intent("t", run="another")
    world.clock += 70

    assert world.ledger.generations.extend_lease(mine, submit_seconds=60)
    assert not world.ledger.generations.extend_lease(other, submit_seconds=60)
    assert 75 == pytest.approx(world.due("t"))

    world.clock += 76
    world.claim()
    assert not world.ledger.generations.extend_lease(mine, submit_seconds=60)
