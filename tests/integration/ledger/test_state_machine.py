"""The ledger against everything that can happen, in random orders."""

from __future__ import annotations

import pytest
from redis import Redis
from support.ledger_machine import LedgerMachine
from support.ledger_random import run_orders


@pytest.mark.timeout(3600)  # a failure is made smaller before it is shown; that takes minutes
def test_any_order_of_events_pays_once_delivers_once_and_forgets_nothing(redis: Redis) -> None:
    """Whatever dies, repeats or comes late: one POST, one delivery, no lost id, no lost record."""
    run_orders(LedgerMachine, redis, examples=100)
