"""Any order of what can happen to downloads and notifications, against what must hold."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule
from redis import Redis
from support.ledger_random import WorldMachine, run_orders

from mulequeue.ledger import Begun, pack

IDS = ("a", "b", "c")
SIGNATURE = {"task": "mulequeue.download", "args": [], "kwargs": {}, "options": {}}
one_of_them = st.sampled_from(IDS)


class TransferMachine(WorldMachine):
    """Messages leave, get lost, arrive twice; runs die, lapse, fail, decide and end."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[str] = []
        """Messages on their way."""
        self.runs: dict[str, list[str]] = {name: [] for name in IDS}
        """Runs that nobody has told of their end, the latest last."""
        self.known: set[str] = set()
        self.done: set[str] = set()
        self.decided: set[str] = set()
        self.given_up: set[str] = set()
        """Done, with an error."""
        self.deliveries = dict.fromkeys(IDS, 0)
        """To a run, since an attempt last ended."""
        self.next: dict[str, float] = {}
        """When the next attempt is due, of what has failed and was not woken since."""
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
        begun = self.world.ledger.leases.begin(name, run, SIGNATURE)
        if name in self.done:
            assert "done" == begun.result
        elif self.world.clock < self.next.get(name, 0):
            assert "early" == begun.result
        elif begun.result != "busy":
            self.begin(name, run, begun)

    def begin(self, name: str, run: str, begun: Begun) -> None:
        self.known.add(name)
        self.next.pop(name, None)
        self.deliveries[name] += 1
        deliveries = self.deliveries[name]
        assert begun.result == (
            "run" if deliveries < 6 else "abandoned" if deliveries == 6 else "done"
        )
        if begun.result == "done":  # with an error, like one that was given up
            self.done.add(name)
            self.given_up.add(name)
            return
        assert begun.verdict == ({"value": name} if name in self.decided else None)
        self.runs[name].append(run)
        assert begun.attempt >= 1

    @rule(
        name=one_of_them,
        how=st.sampled_from(["keep", "again", "waits", "decide", "end", "give up", "dies"]),
    )
    def go_on(self, name: str, how: str) -> None:
        """A run, perhaps one that was overtaken long ago, says how it stands."""
        if not self.runs[name]:
            return
        run = self.runs[name].pop(0 if how == "dies" else -1)
        leases = self.world.ledger.leases
        if how == "keep" and leases.keep(name, run):
            self.runs[name].append(run)
        elif how == "again" and leases.retry(name, run, 60):
            self.next[name] = self.world.clock + 60
            self.deliveries[name] = 0
        elif how == "waits" and name not in self.decided:
            fields = self.world.fields(f"transfer:{name}")
            if run == (fields.get("run") or fields.get("lapsed")):
                self.deliveries[name] = 0
            leases.wait(name, run, "batch", SIGNATURE, seconds=300)
        elif how == "decide" and leases.decide(name, run, {"value": name}, is_dispatching=False):
            self.decided.add(name)
            self.next[name] = self.world.clock
            self.deliveries[name] = 0
        elif how == "end" and leases.end(name, run, {}, ttl_seconds=10**6):
            assert name not in self.done
            self.done.add(name)
        elif how == "give up" and leases.end(
            name,
            run,
            {"error": "no row"},
            ttl_seconds=10**6,
            generation=f"of {name}",
            error_field="each_error",
        ):
            assert name not in self.done
            self.done.add(name)
            self.given_up.add(name)

    @rule(name=one_of_them)
    def repeat(self, name: str) -> None:
        """Someone has it begin again: only what was given up does, and once."""
        effects = self.world.ledger.leases.repeat(name, pack(SIGNATURE), generation=f"of {name}")
        assert (effects is not None) == (name in self.given_up)
        if effects is not None:
            self.given_up.discard(name)
            self.done.discard(name)
            self.decided.discard(name)
            self.known.add(name)
            self.deliveries[name] = 0
            self.next[name] = self.world.clock

    @rule(seconds=st.sampled_from([1.0, 10.0, 26.0, 100.0]))
    def sweep(self, seconds: float) -> None:
        """Time passes, and what is due is sent again, never what is done."""
        wakes = [wake.task_id for wake in self.world.claim(seconds).wakes]
        assert not self.done & set(wakes)
        for name in wakes:
            self.next.pop(name, None)
        self.sent += wakes

    @invariant()
    def nothing_is_forgotten(self) -> None:
        """What was dispatched and is not done has a due time, whatever was lost."""
        due = {name for name in IDS if self.world.due(f"transfer:{name}") is not None}
        assert self.known - self.done == due


def test_nothing_that_was_dispatched_is_forgotten(redis: Redis) -> None:
    """In any order of deaths, losses and repetitions every transfer is done once, or due."""
    run_orders(TransferMachine, redis, examples=60, steps=40)
