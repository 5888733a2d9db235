"""What the tests of deaths, and those of RabbitMQ, share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.fleet import Fleet
from support.rabbitmq_server import QUEUES, RabbitServer
from support.webhook_server import HARD, WebhookServer


@pytest.fixture(scope="session")
def _rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    with RabbitServer(tmp_path_factory.mktemp("rabbit")) as server:
        yield server


@pytest.fixture
def rabbit(_rabbit: RabbitServer) -> RabbitServer:
    """It has none of our queues."""
    _rabbit.delete(*QUEUES)
    return _rabbit


@pytest.fixture(params=["polling", "webhooks"])
def make_told_fleet(
    request: pytest.FixtureRequest, make_fleet: Callable[..., Fleet]
) -> Iterator[Callable[..., Fleet]]:
    """``make_fleet`` for two tests: one whose fleet learns of ends by status checks alone, and one
    whose fleet is told of everything by webhook too, each twice and in the wrong order.
    """
    servers: list[WebhookServer] = []

    def make(**options: Any) -> Fleet:
        fleet = make_fleet(**options)
        if request.param == "webhooks":
            servers.append(WebhookServer(fleet, HARD))
            servers[-1].wait_ready()
        return fleet

    yield make
    for server in servers:
        with server:
            server.wait_told()
