"""Random orders of events in a world of their own, each from an empty Redis."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator
from typing import Any, ClassVar

import hypothesis
import pytest
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from redis import Redis

from support.ledger_world import World


class WorldMachine(RuleBasedStateMachine):
    """Rules and invariants come from the class that derives, ``redis`` from :func:`run_orders`."""

    redis: Redis
    limits: ClassVar[dict[str, Any]] = {}
    """As :class:`World` takes them."""
    tokens: ClassVar[Iterator[int]] = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        self.redis.flushall()
        type(self).tokens = itertools.count()
        self.world = World(self.redis, **self.limits)


def run_orders(
    machine: type[WorldMachine], redis: Redis, *, examples: int, steps: int = 50
) -> None:
    """Try so many orders of so many events; far more in the Hypothesis profile ``thorough``, fewer in ``brief``."""
    chosen = hypothesis.settings.get_current_profile_name()
    examples = max(1, examples // 5) if chosen == "brief" else examples
    given = {"max_examples": examples, "stateful_step_count": steps}
    settings = hypothesis.settings(deadline=None, **({} if chosen == "thorough" else given))
    on_redis = type(machine.__name__, (machine,), {"redis": redis})
    with pytest.MonkeyPatch.context() as patch:
        # Tokens are in names, and names decide between entries that are due at the same time. An order
        # that is repeated has to meet the same ones.
        patch.setattr(secrets, "token_hex", lambda size: f"{next(on_redis.tokens):0{2 * size}x}")
        run_state_machine_as_test(on_redis, settings=settings)  # type: ignore[no-untyped-call]
