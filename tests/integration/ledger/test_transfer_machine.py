"""Any order of what can happen to downloads and notifications, against what must hold."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule
from redis import Redis
from support.ledger_random import WorldMachine, run_orders

IDS = ("a", "b", "c")
SIGNATURE = {"task": "mulequeue.download", "args": [], "kwargs": {}, "options": {}}
one_of_them = st.sampled_from(IDS)


class TransferMachine(WorldMachine):
    """Messages leave, get lost, arrive twice; runs die, lapse, fail and end."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[str] = []
        """Messages on their way."""
        self.runs: dict[str, list[str]] = {name: [] for name in IDS}
        """Runs that nobody has told of their end, the latest last."""
        self.known: set[str] = set()
        self.done: set[str] = set()
        self.count = 0

    @rule(name=one_of_them, is_lost=st.booleans())
    def publish(self, name: str, is_lost: bool) -> None:
        """A worker dispatches it: for the first time, or again."""
        is_new = self.world.ledger.leases.expect(name, "mulequeue.download", SIGNATURE)
        assert is_new == (name not in self.known | self.done)
        self.known.add(name)
        if not is_lost:
            self.sent.append(name)

    @rule(index=st.integers(0, 7))
    def arrive(self, index: int) -> None:
        if not self.sent:
            return
        name = self.sent.pop(index % len(self.sent))
        self.count += 1
        run = f"run{self.count}"
        what, attempt, *_ = self.world.ledger.leases.begin(name, run, SIGNATURE)
        if name in self.done:
            assert "done" == what
        if what == "run":
            self.known.add(name)
            self.runs[name].append(run)
            assert attempt >= 1

    @rule(name=one_of_them, how=st.sampled_from(["keep", "again", "end", "dies"]))
    def go_on(self, name: str, how: str) -> None:
        """A run, perhaps one that was overtaken long ago, says how it stands."""
        if not self.runs[name]:
            return
        run = self.runs[name].pop(0 if how == "dies" else -1)
        ledger = self.world.ledger
        if how == "keep" and ledger.leases.keep(name, run):
            self.runs[name].append(run)
        elif how == "again":
            ledger.leases.retry(name, run, 60)
        elif how == "end" and ledger.leases.end(name, run, {}, ttl_seconds=10**6):
            assert name not in self.done
            self.done.add(name)

    @rule(seconds=st.sampled_from([1.0, 10.0, 26.0, 100.0]))
    def sweep(self, seconds: float) -> None:
        """Time passes, and what is due is sent again, never what is done."""
        wakes = [wake.task_id for wake in self.world.claim(seconds).wakes]
        assert not self.done & set(wakes)
        self.sent += wakes

    @invariant()
    def nothing_is_forgotten(self) -> None:
        """What was dispatched and is not done has a due time, whatever was lost."""
        due = {name for name in IDS if self.world.due(f"transfer:{name}") is not None}
        assert self.known - self.done == due


def test_nothing_that_was_dispatched_is_forgotten(redis: Redis) -> None:
    """In any order of deaths, losses and repetitions every transfer is done once, or due."""
    run_orders(TransferMachine, redis, examples=60, steps=40)
