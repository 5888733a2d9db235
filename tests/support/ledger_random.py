"""Random orders of events in a world of their own, each from an empty Redis."""

from __future__ import annotations

from typing import Any, ClassVar

import hypothesis
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from redis import Redis

from support.ledger_world import World


class WorldMachine(RuleBasedStateMachine):
    """Rules and invariants come from the class that derives, ``redis`` from :func:`run_orders`."""

    redis: Redis
    limits: ClassVar[dict[str, Any]] = {}
    """As :class:`World` takes them."""

    def __init__(self) -> None:
        super().__init__()
        self.redis.flushall()
        self.world = World(self.redis, **self.limits)


def run_orders(
    machine: type[WorldMachine], redis: Redis, *, examples: int, steps: int = 50
) -> None:
    """Try so many orders of so many events; far more of both in the Hypothesis profile ``thorough``."""
    chosen = hypothesis.settings.get_current_profile_name()
    given = {"max_examples": examples, "stateful_step_count": steps}
    settings = hypothesis.settings(deadline=None, **({} if chosen == "thorough" else given))
    on_redis = type(machine.__name__, (machine,), {"redis": redis})
    run_state_machine_as_test(on_redis, settings=settings)  # type: ignore[no-untyped-call]
