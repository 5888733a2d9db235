"""The worker's consumer and the messages of a connection that is gone."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from celery.worker.consumer import Consumer as CeleryConsumer
from kombu import Connection
from support.redis_server import RedisServer

from mulequeue.tasks.consumer import Consumer

logger = logging.getLogger("test")


class Hub:
    """An event loop that is run by hand."""

    def __init__(self) -> None:
        self.ready: list[Callable[[], Any]] = []

    def call_soon(self, function: Callable[[], Any]) -> None:
        self.ready.append(function)

    def run(self) -> None:
        while self.ready:
            self.ready.pop(0)()


@pytest.fixture
def consumer() -> Consumer:
    """One without the worker that is around a whole one."""
    consumer = Consumer.__new__(Consumer)
    consumer.hub = Hub()
    return consumer


def test_a_message_of_a_lost_connection_ends_no_worker(
    consumer: Consumer, redis_server: RedisServer
) -> None:
    """A task may end after the connection its message came over was given up: what would
    acknowledge the message then is logged, for the broker gives the message back anyway.
    """
    connection = Connection(redis_server.url)
    queue = connection.SimpleQueue("a-queue")
    queue.put("hello")
    message = queue.get(timeout=5)
    # What is left of it when Redis refuses connections at the moment it is closed.
    message.channel._disconnect_pools()
    message.channel.connection.client = None
    with pytest.raises(AttributeError):
        message.ack_log_error(logger, connection.connection_errors)

    ways = [consumer.call_soon]
    if hasattr(CeleryConsumer, "call_soon_ack"):  # since Celery 5.7
        ways.append(consumer.call_soon_ack)
    for call_soon in ways:
        for settle in (message.ack_log_error, message.reject_log_error):
            call_soon(settle, logger, connection.connection_errors)
            consumer.hub.run()


def test_what_is_no_lost_connection_is_raised(consumer: Consumer) -> None:
    """Any other error of what the consumer is to do soon stays one."""
    consumer.call_soon({}.__getattribute__, "missing")

    with pytest.raises(AttributeError):
        consumer.hub.run()
