"""Serve the metrics of the ledger and of the broker's queues to Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, start_http_server

from mulequeue.ledger import Ledger
from mulequeue.ops.prometheus_collector import LedgerCollector


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
