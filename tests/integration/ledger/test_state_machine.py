"""The ledger against everything that can happen, in random orders."""

from __future__ import annotations

import hypothesis
import pytest
from hypothesis.stateful import run_state_machine_as_test
from redis import Redis
from support.ledger_machine import LedgerMachine


@pytest.mark.timeout(3600)  # a failure is made smaller before it is shown; that takes minutes
def test_any_order_of_events_pays_once_delivers_once_and_forgets_nothing(redis: Redis) -> None:
    """Whatever dies, repeats or comes late: one POST, one delivery, no lost id, no lost record."""

    class Machine(LedgerMachine):
        pass

    Machine.redis = redis
    chosen = hypothesis.settings.get_current_profile_name()
    given = {} if chosen == "thorough" else {"max_examples": 100, "stateful_step_count": 50}
    settings = hypothesis.settings(deadline=None, **given)
    run_state_machine_as_test(Machine, settings=settings)  # type: ignore[no-untyped-call]
