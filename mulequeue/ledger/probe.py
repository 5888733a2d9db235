"""Create a client that finds out quickly whether the ledger's Redis answers."""

from __future__ import annotations

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from mulequeue.ledger.connection import connect


def probe_connection(url: str, seconds: float) -> Redis:
    """Return a client that tries once and waits at most ``seconds`` for a connection and for an answer.

    :raises ConfigurationError: as :func:`mulequeue.ledger.connect`.
    """
    client = connect(url)
    options = client.connection_pool.connection_kwargs
    options.update(socket_timeout=seconds, retry=Retry(NoBackoff(), 0), retry_on_error=[])
    if "socket_connect_timeout" in options:
        options["socket_connect_timeout"] = seconds
    return client
