"""What the tests of deaths share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.fleet import Fleet
from support.webhook_server import HARD, WebhookServer


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
