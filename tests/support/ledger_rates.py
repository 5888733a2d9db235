"""Limits as the API sees them: requests travel for as long as they like, and some get lost.

The machine is the workers, the network and the API. It keeps when every create arrived and when
every generation ended, and looks at nothing else: what the ledger counted does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from mulequeue.ledger import Intent, Wake
from mulequeue.settings.profiles import Limits
from support.ledger_random import WorldMachine
from support.ledger_world import marker_of

PER_SECOND, PER_MINUTE, MODEL_PER_MINUTE = 2, 5, 2
IN_FLIGHT, MODEL_IN_FLIGHT = 4, 2
LONGEST_POST = 60.0
PATH = "alibaba/v1/wan2.6-t2i/generation"
VEO = "google/v1/veo-3.1-fast/generation"
STEPS = (0.0, 0.01, 0.3, 0.6, 1.0, 1.002, 7.0, 30.0, 58.0, 61.0, 77.0)

any_of_them = st.integers(0, 9)


@dataclass
class Post:
    """A create request."""

    intent: Intent
    sent: float
    arrived: float | None = None


class RatesMachine(WorldMachine):
    """See the module."""

    limits: ClassVar[dict[str, Any]] = {
        "limit": IN_FLIGHT,
        "submissions_per_second": PER_SECOND,
        "submissions_per_minute": PER_MINUTE,
        "models": {
            VEO: Limits(max_in_flight=MODEL_IN_FLIGHT, submissions_per_minute=MODEL_PER_MINUTE)
        },
    }

    def __init__(self) -> None:
        super().__init__()
        self.posts: list[Post] = []
        self.running: list[Post] = []
        self.wakes: list[Wake] = []
        self.arrivals: dict[str, list[float]] = {PATH: [], VEO: []}
        self.count = 0

    @rule(step=st.sampled_from(STEPS))
    def wait(self, step: float) -> None:
        self.world.clock += step
        now = self.world.clock
        # Without an answer for so long the worker has given up, or is dead: it says nothing more.
        self.posts = [post for post in self.posts if now - post.sent < LONGEST_POST]

    @rule(path=st.sampled_from([PATH, VEO]), batch=st.sampled_from([None, "a", "b"]))
    def come(self, path: str, batch: str | None) -> None:
        self.count += 1
        given = {"batch_id": batch, "batch_size": 9} if batch else {}
        self.ask(self.world.intent(f"t{self.count}", path=path, **given))

    @rule()
    def sweep(self) -> None:
        found = self.world.claim()
        self.wakes += [wake for wake in found.wakes if self.world.state(wake.task_id) == "waiting"]

    @precondition(lambda self: self.wakes)
    @rule(index=any_of_them)
    def deliver(self, index: int) -> None:
        wake = self.wakes.pop(index % len(self.wakes))
        path = self.world.fields(f"record:{wake.task_id}")["path"]
        self.ask(self.world.intent(wake.task_id, marker=marker_of(wake), path=path))

    def ask(self, intent: Intent) -> None:
        if self.world.ask(intent).action == "submit":
            self.posts.append(Post(intent, self.world.clock))

    @precondition(lambda self: self.posts)
    @rule(index=any_of_them)
    def arrive(self, index: int) -> None:
        """A create reaches the API; it may be that its answer never comes back."""
        post = self.posts[index % len(self.posts)]
        if post.arrived is None:
            post.arrived = self.world.clock
            self.arrivals[post.intent.path].append(post.arrived)

    @precondition(lambda self: self.posts)
    @rule(index=any_of_them, how=st.sampled_from(["accepted", "accepted", "refused", "too many"]))
    def answer(self, index: int, how: str) -> None:
        post = self.posts[index % len(self.posts)]
        if post.arrived is None:
            return
        self.posts.remove(post)
        if how == "accepted":
            self.world.record_id(post.intent, f"remote-{len(self.running)}-{post.intent.run}")
            self.running.append(post)
        elif how == "refused":
            self.world.ledger.generations.settle_submit(post.intent, "failed", None)
        else:
            self.world.requeue(post.intent, 0.5)

    @precondition(lambda self: self.posts)
    @rule(index=any_of_them)
    def not_sent(self, index: int) -> None:
        """The connection is refused."""
        post = self.posts[index % len(self.posts)]
        if post.arrived is None:
            self.posts.remove(post)
            self.world.requeue(post.intent)

    @precondition(lambda self: self.running)
    @rule(index=any_of_them)
    def end(self, index: int) -> None:
        post = self.running.pop(index % len(self.running))
        self.world.ledger.generations.settle(post.intent.task_id, None, "succeeded", {})

    @invariant()
    def no_window_holds_one_too_many(self) -> None:
        everything = sorted(self.arrivals[PATH] + self.arrivals[VEO])
        assert fits(everything, PER_SECOND, 1)
        assert fits(everything, PER_MINUTE, 60)
        assert fits(sorted(self.arrivals[VEO]), MODEL_PER_MINUTE, 60)

    @invariant()
    def never_one_too_many_in_flight(self) -> None:
        working = [post for post in self.posts if post.arrived is not None] + self.running
        assert len(working) <= IN_FLIGHT
        assert sum(post.intent.path == VEO for post in working) <= MODEL_IN_FLIGHT

    @invariant()
    def memory_is_bounded(self) -> None:
        most = {"1": PER_SECOND, "60": PER_MINUTE, f"60:{VEO}": MODEL_PER_MINUTE}
        for name, limit in most.items():
            key = self.world.key(f"rate:default:{name}")
            assert self.redis.zcard(key) <= limit

    def teardown(self) -> None:
        """Whatever happened, all that wait get their turn."""
        self.world.check()
        for _ in range(40 * (self.count + 1)):
            head = self.world.ledger.queries.overdue()[1]
            if head is None or not self.world.ledger.queries.counts().get("waiting"):
                break
            self.world.clock = max(self.world.clock, head)
            self.wait(0.0)
            self.sweep()
            while self.wakes:
                self.deliver(0)
            while self.posts:
                self.arrive(0)
                self.answer(0, "accepted")
            self.no_window_holds_one_too_many()
            while self.running:
                self.end(0)
        assert not self.world.ledger.queries.counts().get("waiting")


def fits(arrivals: list[float], most: int, seconds: float) -> bool:
    """Whether no stretch of that many seconds holds more than ``most`` arrivals."""
    pairs = zip(arrivals, arrivals[most:], strict=False)
    return all(later - earlier >= seconds for earlier, later in pairs)
