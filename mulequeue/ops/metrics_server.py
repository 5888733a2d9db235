"""Where Prometheus scrapes: the collector behind HTTP, and what the broker says of its queues."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from prometheus_client import CollectorRegistry, start_http_server

from mulequeue.ledger import Ledger
from mulequeue.ops.prometheus_collector import LedgerCollector


def queue_depths(app: Any, queues: Iterable[str]) -> Callable[[], dict[str, int]]:
    """Asks the broker how many messages stand in each queue; one that does not answer says nothing.

    :param app: the Celery app, for its broker.
    """
    names, lock = list(queues), threading.Lock()

    def look() -> dict[str, int]:
        found: dict[str, int] = {}
        with suppress(Exception), lock, app.connection_for_read(connect_timeout=3) as connection:
            for name in names:
                found[name] = 0  # one that is empty may not even exist, an error of the channel
                with suppress(*connection.channel_errors), connection.channel() as channel:
                    found[name] = channel.queue_declare(name, passive=True).message_count
        return found

    return look


def start(
    ledger: Ledger, host: str, port: int, depths: Callable[[], dict[str, int]] = dict
) -> tuple[int, Callable[[], None]]:
    """Serve ``/metrics`` in a thread.

    :param port: 0: a free one.
    :returns: the port, and what stops it.
    :raises OSError: the port is in use.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(LedgerCollector(ledger, depths))
    server, thread = start_http_server(port, host, registry)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return int(server.server_port), stop
