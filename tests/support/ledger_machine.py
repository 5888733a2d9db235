"""Everything that can happen to a few generations, in any order, against a model in plain Python.

The machine is the broker, the workers, the API and the user at once: it keeps every message and
every run that is still alive, lets any of them go on at any time, die, or be repeated, and notes
what must hold. The ledger under test runs on a real Redis.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule
from redis import Redis

from mulequeue.ledger import Due, Intent, Wake, new_token
from support.ledger_world import SUBMIT_LEASE, TTL, UNDER_WAY, World, marker_of

TASKS = ("a", "b", "c", "d")
LIMIT = 2


@dataclass(frozen=True)
class Message:
    """A delivery of ``generate`` that the broker holds."""

    task_id: str
    marker: str = ""


@dataclass
class Post:
    """A run that was told to POST, and has not said yet what came of it."""

    intent: Intent
    life: int
    """Which life of Redis the intent was written in."""
    answered: bool = False


@dataclass
class Claimed:
    """A status check that a sweep has in hand, maybe for much too long."""

    token: str
    due: Due
    life: int


@dataclass
class Delivery:
    """A second delivery that has the outcome in hand."""

    task_id: str
    epoch: str
    life: int


@dataclass
class Life:
    """What must be remembered from one loss of Redis to the next."""

    posted: dict[str, int] = field(default_factory=dict)
    """POSTs that may have created something, by task."""
    ids: list[tuple[str, str]] = field(default_factory=list)
    delivered: set[str] = field(default_factory=set)
    late: int = 0
    """Generations that came back after their slot was given away."""


class LedgerMachine(RuleBasedStateMachine):
    """See the module. ``redis`` is set by the test that runs it."""

    redis: Redis
    messages = Bundle("messages")
    posts = Bundle("posts")
    checks = Bundle("checks")
    deliveries = Bundle("deliveries")

    def __init__(self) -> None:
        super().__init__()
        self.redis.flushall()
        self.world = World(self.redis, limit=LIMIT)
        self.life, self.lives = Life(), 0
        self.ids = 0

    # -- the user --------------------------------------------------------------------------

    @rule(target=messages, task=st.sampled_from(TASKS))
    def enqueue(self, task: str) -> Message:
        return Message(task)

    @rule(target=messages, task=st.sampled_from([*TASKS, "nobody"]))
    def cancel(self, task: str) -> object:
        before = self.world.state(task)
        state, wake = self.world.ledger.cancel(task, ttl_seconds=TTL)
        assert state == (before or "unknown")
        assert (wake is not None) == (before in ("waiting", "generating"))
        return self.published([wake])

    @rule()
    def cancel_batch(self) -> None:
        self.world.ledger.cancel_batch("batch")

    # -- the broker ------------------------------------------------------------------------

    @rule(target=messages, message=messages)
    def redeliver(self, message: Message) -> Message:
        return message

    @rule(message=consumes(messages))
    def lose(self, message: Message) -> None:
        """A wake or an enqueued task is gone."""

    # -- a worker: deliveries ----------------------------------------------------------------

    @rule(target=messages, message=consumes(messages), refused=st.booleans(), twice=st.booleans())
    def arrive_badly(self, message: Message, refused: bool, twice: bool) -> object:
        """A message whose input is refused before the intent, or whose worker dies after it."""
        refusal = {"error": {"type": "InputError"}} if refused else None
        intent = self.intent_of(message, refusal=refusal)
        verdict = self.ask(message, intent, twice=twice)
        if verdict == "submit":
            assert not refused
            self.note_post(intent)
        return self.published([self.wake])

    @rule(target=posts, message=consumes(messages), twice=st.booleans())
    def arrive_to_submit(self, message: Message, twice: bool) -> object:
        intent = self.intent_of(message)
        if self.ask(message, intent, twice=twice) != "submit":
            return multiple()
        self.note_post(intent)
        return Post(intent, self.lives)

    @rule(target=deliveries, message=consumes(messages), twice=st.booleans())
    def arrive_to_deliver(self, message: Message, twice: bool) -> object:
        intent = self.intent_of(message)
        verdict = self.ask(message, intent, twice=twice)
        if verdict == "submit":
            self.note_post(intent)
        if verdict != "deliver":
            return multiple()
        return Delivery(message.task_id, intent.epoch, self.lives)

    @rule(delivery=deliveries)
    def finish(self, delivery: Delivery) -> None:
        """Celery dispatched what follows; said twice it counts once."""
        before = self.world.state(delivery.task_id)
        ok = self.world.ledger.delivered(delivery.task_id, delivery.epoch, ttl_seconds=TTL)
        if ok:
            assert before in ("settled", "delivering")
            self.life.delivered.add(delivery.task_id)
        again = self.unchanged(
            lambda: self.world.ledger.delivered(delivery.task_id, delivery.epoch, ttl_seconds=1)
        )
        assert not again

    # -- a worker: what came of a POST ---------------------------------------------------------

    @rule(target=messages, post=posts, terminal=st.booleans(), twice=st.booleans())
    def accepted(self, post: Post, terminal: bool, twice: bool) -> object:
        """The API answered with an id, perhaps long after the lease was over."""
        if post.answered:
            return multiple()
        post.answered = True
        return self.published(self.tell_id(post, terminal=terminal, twice=twice))

    @rule(target=messages, post=posts, status=st.sampled_from(["failed", "submit_unknown"]))
    def not_accepted(self, post: Post, status: str) -> object:
        if post.answered:
            return multiple()
        post.answered = True
        task = post.intent.task_id
        holds = self.holds(task, "submitting", run=post.intent.run)
        flagged = "cancel" in self.record(task)
        wake = self.fenced(
            holds, lambda: self.world.ledger.settle_submit(post.intent, status, {"error": {}})
        )
        assert (wake is not None) == holds
        if holds:
            assert self.record(task)["status"] == ("cancelled" if flagged else status)
        return self.published([wake])

    @rule(target=messages, post=posts, seconds=st.sampled_from([None, 1.0, 40.0]))
    def not_created(self, post: Post, seconds: float | None) -> object:
        if post.answered:
            return multiple()
        post.answered = True
        task = post.intent.task_id
        holds = self.holds(task, "submitting", run=post.intent.run)
        again, wake = self.fenced(
            holds,
            lambda: self.world.ledger.retract(
                post.intent, retry_after_seconds=seconds, first=5, ceiling=300
            ),
        )
        assert ((again is not None) or (wake is not None)) == holds
        if again is not None:
            assert again > self.world.clock
            self.life.posted[task] -= 1
        return self.published([wake])

    # -- a worker: sweeps ------------------------------------------------------------------------

    @rule(target=messages, most=st.sampled_from([1, 3, 1000]), wakes=st.sampled_from([1, 200]))
    def sweep_and_die(self, most: int, wakes: int) -> object:
        return self.published(self.claim(most, wakes)[1])

    @rule(target=checks, most=st.sampled_from([1, 3, 1000]))
    def sweep_and_lose_wakes(self, most: int) -> object:
        return multiple(*self.claim(most, 200)[0])

    @rule(check=checks, seconds=st.sampled_from([0.0, 3.0, 20.0]), errors=st.integers(0, 3))
    def still_active(self, check: Claimed, seconds: float, errors: int) -> None:
        holds = self.holds_claim(check)
        row = (check.due.task_id, self.world.clock + seconds, 1, errors)
        written = self.fenced(holds, lambda: self.world.ledger.reschedule(check.token, [row]))
        assert written == int(holds)

    @rule(check=checks)
    def renew(self, check: Claimed) -> None:
        holds = self.holds_claim(check)
        self.fenced(holds, lambda: self.world.ledger.renew(check.token, [check.due.task_id]))

    @rule(
        target=messages,
        check=checks,
        status=st.sampled_from(["succeeded", "failed", "timed_out"]),
    )
    def found_over(self, check: Claimed, status: str) -> object:
        holds, task = self.holds_claim(check), check.due.task_id
        wake = self.fenced(
            holds, lambda: self.world.ledger.settle(task, check.token, status, {}, polls=1)
        )
        assert (wake is not None) == holds
        return self.published([wake])

    @rule(target=messages, task=st.sampled_from(TASKS))
    def webhook(self, task: str) -> object:
        holds = self.world.state(task) == "generating"
        wake = self.fenced(
            holds, lambda: self.world.ledger.settle(task, None, "succeeded", {"kind": "image"})
        )
        assert (wake is not None) == holds
        return self.published([wake])

    # -- the world -------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.5, 6.0, 31.0, SUBMIT_LEASE + 1, 400.0, 5000.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.clock += seconds

    @rule(dice=st.integers(0, 4))
    def redis_loses_everything(self, dice: int) -> None:
        if dice == 0:
            self.redis.flushall()
            self.life, self.lives = Life(), self.lives + 1

    # -- what must hold --------------------------------------------------------------------------

    @invariant()
    def the_ledger_agrees_with_itself(self) -> None:
        self.world.check()

    @invariant()
    def at_most_one_post_may_have_created(self) -> None:
        assert all(count <= 1 for count in self.life.posted.values()), self.life.posted

    @invariant()
    def no_paid_id_is_dropped(self) -> None:
        for task, remote_id in self.life.ids:
            record = self.record(task)
            ids = [record.get("remote_id"), record.get("late_remote_id")]
            ids += record.get("more_remote_ids", "").split()
            assert remote_id in ids
            assert task == self.world.ledger.task_of(remote_id)

    @invariant()
    def delivered_stays_delivered(self) -> None:
        assert all("delivered" == self.world.state(task) for task in self.life.delivered)

    def teardown(self) -> None:
        """Whatever happened, from here on a worker that works brings every record to its end."""
        for _ in range(300):
            head = self.world.ledger.overdue()[1]
            if head is None:
                break
            self.world.clock = max(self.world.clock, head)
            checks, wakes = self.claim(1000, 200)
            for check in checks:
                wakes.append(
                    self.world.ledger.settle(check.due.task_id, check.token, "succeeded", {})
                )
            for wake in wakes:
                self.work_well(wake)
            self.world.check()
        records = self.world.all_records().values()
        assert all(it["state"] in ("delivered", "tombstone") for it in records), records
        assert 0 == self.world.slots()
        self.no_paid_id_is_dropped()

    # -- how it is done --------------------------------------------------------------------------

    def work_well(self, wake: Wake | None) -> None:
        if wake is None:
            return
        message = Message(wake.task_id, marker_of(wake))
        intent = self.intent_of(message)
        verdict = self.ask(message, intent)
        if verdict == "submit":
            self.note_post(intent)
            self.tell_id(Post(intent, self.lives))
        if verdict == "deliver":
            assert self.world.ledger.delivered(wake.task_id, intent.epoch, ttl_seconds=TTL)
            self.life.delivered.add(wake.task_id)
        self.work_well(self.wake)

    def intent_of(self, message: Message, **given: object) -> Intent:
        if message.task_id in ("a", "b"):
            given |= {"batch_id": "batch", "batch_size": 2}
        return self.world.intent(message.task_id, marker=message.marker, **given)

    def ask(self, message: Message, intent: Intent, *, twice: bool = False) -> str:
        """The verdict, checked against what the record was before."""
        task, marker, record = message.task_id, message.marker, self.record(message.task_id)
        state, slots = record.get("state"), self.world.slots()
        deliveries = int(record.get("deliveries", 0))
        verdict = self.world.ask(intent)
        self.wake = verdict.wake
        if twice:  # the first answer was lost on the way
            again = self.world.ask(intent)
            assert (
                again.what == verdict.what
                or (verdict.what, again.what) == ("parked", "submit")
                or ((verdict.what, again.what) in (("abandoned", "busy"), ("wake", "deliver")))
            ), (verdict.what, again.what)
            verdict = again
        if marker:
            usable = record.get("epoch") == marker
            assert (verdict.what == "stale") == (not usable)
            if verdict.what == "deliver":
                assert state in ("settled", "delivering")
                assert task not in self.life.delivered
                assert int(self.record(task)["deliveries"]) in (deliveries, deliveries + 1)
                assert verdict.record is not None
                assert verdict.record.status is not None
        elif state not in (None, "tombstone"):
            assert "duplicate" == verdict.what
        else:
            assert verdict.what in ("submit", "parked", "wake")
        if verdict.what == "submit":
            assert self.world.slots() <= max(LIMIT, slots)
        return verdict.what

    def note_post(self, intent: Intent) -> None:
        self.life.posted[intent.task_id] = self.life.posted.get(intent.task_id, 0) + 1

    def tell_id(
        self, post: Post, *, terminal: bool = False, twice: bool = False
    ) -> list[Wake | None]:
        """Give the ledger a paid id, and see that it is taken as it should be."""
        self.ids += 1
        intent, remote_id, hold = post.intent, f"remote-{self.ids}", new_token() if terminal else ""
        before = self.record(intent.task_id)
        what, wake = self.world.record_id(intent, remote_id, hold=hold)
        self.life.ids.append((intent.task_id, remote_id))
        assert what == self.expected(before, intent), (before, what)
        if twice:
            again, _ = self.world.record_id(intent, remote_id, hold=hold)
            assert again == ("attached" if what == "attached" else "known")
        wakes = [wake]
        if hold and what == "generating":
            wakes.append(self.world.ledger.settle(intent.task_id, hold, "succeeded", {}))
            assert wakes[-1] is not None
        return wakes

    def expected(self, before: dict[str, str], intent: Intent) -> str:
        """What becomes of an id, by what the record was before."""
        state, status = before.get("state"), before.get("status")
        if state is None:
            return "generating"
        if state == "tombstone":
            return "cancelled"
        if before["epoch"] != intent.epoch or "remote_id" in before:
            return "attached"
        if state in ("waiting", "submitting"):
            return "cancelled" if "cancel" in before else "generating"
        if state == "settled" and status in ("submit_unknown", "cancelled"):
            return "cancelled" if status == "cancelled" or "cancel" in before else "generating"
        return "attached"

    def claim(self, most: int, wakes: int) -> tuple[list[Claimed], list[Wake]]:
        slots = self.world.slots()
        found = self.world.claim(most=most, most_wakes=wakes)
        assert len(found.wakes) <= wakes
        assert self.world.slots() <= max(LIMIT, slots)
        for due in found.polls:
            assert self.holds(due.task_id, "generating", claim=found.token)
        for wake in found.wakes:
            assert self.world.state(wake.task_id) in ("waiting", "settled")
        return [Claimed(found.token, due, self.lives) for due in found.polls], found.wakes

    def published(self, wakes: list[Wake | None] | list[Wake]) -> object:
        return multiple(*(Message(it.task_id, marker_of(it)) for it in wakes if it is not None))

    def record(self, task: str) -> dict[str, str]:
        return self.world.fields(f"record:{task}")

    def holds(self, task: str, state: str, **tokens: str) -> bool:
        record = self.record(task)
        return record.get("state") == state and all(record.get(k) == v for k, v in tokens.items())

    def holds_claim(self, check: Claimed) -> bool:
        return self.holds(check.due.task_id, "generating", claim=check.token)

    def fenced(self, holds: bool, call):  # type: ignore[no-untyped-def]
        """Run it; whoever does not hold the record changes nothing at all."""
        return call() if holds else self.unchanged(call)

    def unchanged(self, call):  # type: ignore[no-untyped-def]
        before = self.world.everything()
        found = call()
        assert before == self.world.everything()
        return found


assert UNDER_WAY
