"""A host that takes connections and never answers."""

from __future__ import annotations

import time

import pytest
from celery import Celery
from redis import Redis
from support.ledger_world import World
from support.raw_server import RawServer, http, plain_network, raw_server, say_nothing  # noqa: F401

import mulequeue.tasks  # noqa: F401  # the app's poll task
from mulequeue.engine.poll.sweep import sweep
from mulequeue.engine.worker_context import WorkerContext
from mulequeue.settings import Settings

PENDING = http("200 OK", '{"task_info": {"status": "pending"}}')
SLOTS = 4


def due_now(ctx: WorkerContext, redis: Redis, profile: str, *names: str) -> None:
    """Generations of a profile that are to be checked at once."""
    world = World(redis)
    world.ledger, world.profile = ctx.ledger, ctx.settings.profile(profile)
    for name in names:
        world.record_id(world.submit(name), f"remote-{name}", first_poll_seconds=0)


def sweep_until_asked(ctx: WorkerContext, server: RawServer) -> None:
    """One sweep after the other, as the worker of a poll queue makes them."""
    message = ctx.ledger.polling.schedule(ctx.ledger.queries.now())
    while not server.requests:
        assert message is not None
        time.sleep(message.countdown)
        message = sweep(ctx, message.token)


@pytest.mark.usefixtures("plain_network")
def test_it_holds_up_no_other_profile(redis: Redis) -> None:
    """Its checks give their slots to others long before they time out, and no more are begun."""
    port = redis.connection_pool.connection_kwargs["port"]
    with raw_server(say_nothing) as silent, raw_server(PENDING) as good:
        servers = {"silent": silent, "good": good}
        profiles = {n: {"base_url": at.url, "api_key": "sk-mr-key"} for n, at in servers.items()}
        given = {"redis_url": f"redis://127.0.0.1:{port}", "poll_concurrency": SLOTS}
        ctx = WorkerContext(Celery(set_as_current=False), Settings(profiles=profiles, **given))
        due_now(ctx, redis, "silent", *(f"silent-{number}" for number in range(3 * SLOTS)))
        due_now(ctx, redis, "good", "good")

        sweep_until_asked(ctx, good)

        assert SLOTS == len(silent.requests)
        assert not silent.ended.is_set()
    ctx.close()
