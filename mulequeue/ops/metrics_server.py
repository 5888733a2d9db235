"""Serve the metrics of the ledger and of the broker's queues to Prometheus."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from prometheus_client import CollectorRegistry, start_http_server

from mulequeue.ledger import Ledger
from mulequeue.ops.prometheus_collector import LedgerCollector


def queue_depths(app: Any, queues: Iterable[str]) -> Callable[[], dict[str, int]]:
    """Return a function that asks the broker for the number of messages in each queue.

    The function returns an empty dict if the broker does not answer.

    :param app: the Celery app of the broker.
    """
    names, lock = list(queues), threading.Lock()

    def read_depths() -> dict[str, int]:
        found: dict[str, int] = {}
        with suppress(Exception), lock, app.connection_for_read(connect_timeout=3) as connection:
            for name in names:
                found[name] = 0  # an empty queue may not exist, which is a channel error
                with suppress(*connection.channel_errors), connection.channel() as channel:
                    found[name] = channel.queue_declare(name, passive=True).message_count
        return found

    return read_depths


def start(
    ledger: Ledger, host: str, port: int, depths: Callable[[], dict[str, int]] = dict
) -> tuple[int, Callable[[], None]]:
    """Serve ``/metrics`` in a thread.

    :param port: 0: a free port.
    :returns: the port, and the function that stops the server.
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
