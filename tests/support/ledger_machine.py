"""Everything that can happen to a few generations, in any order, against a model in plain Python.

The machine is the broker, the workers, the API and the user at once: it keeps every message and
every run that is still alive, lets any of them go on at any time, die, or be repeated, and notes
what must hold. The ledger under test runs on a real Redis.
"""

from __future__ import annotations

from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from mulequeue.ledger import CancelScope, Intent, Pause, Scope
from support.ledger_limits import keys
from support.ledger_model import LedgerModel, Life, Message
from support.ledger_world import SUBMIT_LEASE, TTL, pause_of

T = TypeVar("T")
TASKS = ("a", "b", "c", "d")
DISTURBANCES = (
    "enqueue",
    "enqueue",
    "redeliver",
    "lose",
    "wait",
    "cancel",
    "webhook",
    "pause",
    "retry",
    "rare",
)
CANVASES = ("one", "another", "")
ANSWERS = (
    "accepted",
    "accepted",
    "terminal",
    "failed",
    "submit_unknown",
    "not created",
    *Scope,
    "dies",
)
WORKERS = ("one", "other")
CHECKED = ("still active", "renew", "succeeded", "failed", "timed_out")

one_of_them = st.integers(0, 7)
rarely = st.sampled_from([False] * 9 + [True])


def pick(things: list[T], index: int) -> T:
    """One of them, taken out."""
    return things.pop(index % len(things))


class LedgerMachine(LedgerModel):
    """See the module. ``redis`` is set by the test that runs it."""

    # -- the user, the broker and the API's webhooks --------------------------------------------------------------------------

    @initialize(tasks=st.lists(st.sampled_from(TASKS), min_size=2, max_size=5))
    def start(self, tasks: list[str]) -> None:
        self.messages += [Message(task, tail=CANVASES[0]) for task in tasks]

    @rule(what=st.sampled_from(DISTURBANCES), task=st.sampled_from(TASKS), index=one_of_them)
    def disturb(self, what: str, task: str, index: int) -> None:
        """One rule for all of them, so that they do not drown what goes as it should."""
        if what == "enqueue" and len(self.messages) < 8:
            self.messages.append(Message(task, tail=CANVASES[index % 3]))
        elif what == "redeliver" and self.messages:
            self.messages.append(self.messages[index % len(self.messages)])
        elif what == "lose" and self.messages:
            pick(self.messages, index)
        elif what == "webhook":
            self.webhook(task)
        elif what == "cancel":
            self.cancel(task, CancelScope.WAITING if index % 3 == 2 else CancelScope.ALL)
        elif what == "wait":
            self.world.clock += (0.5, 3.0, 6.0, 31.0, 40.0, SUBMIT_LEASE + 1, 400.0, 4000.0)[index]
        elif what == "pause":
            self.hold(release=index % 2 == 1)
        elif what == "retry":
            self.retry(task)
        elif what == "rare" and index == 0:
            self.world.ledger.generations.cancel_batch("batch", ttl_seconds=TTL)
        elif what == "rare" and index == 1:
            self.redis.flushall()
            self.world.billed_before.clear()
            self.life = Life()

    def hold(self, *, release: bool) -> None:
        """Somebody pauses submissions, or lets them go on."""
        gates = [self.world.fields(key) for key in keys(self.world, "gate:default")]
        was = any(gate.keys() & ({"held", "level"} if release else {"held"}) for gate in gates)
        ledger = self.world.ledger
        assert (was if release else not was) == (
            ledger.limits.resume_submissions("default")[0]
            if release
            else ledger.limits.pause_submissions("default")
        )

    def cancel(self, task: str, which: CancelScope) -> None:
        before, was_flagged = self.world.state(task), "cancel" in self.record(task)
        state, effects = self.world.ledger.generations.cancel(task, ttl_seconds=TTL, which=which)
        assert state == (before or "unknown")
        ends = ("waiting",) if which is CancelScope.WAITING else ("waiting", "generating")
        assert bool(effects.wakes) == (before in ends)
        if which is CancelScope.WAITING and before in ("submitting", "generating"):
            assert before == self.world.state(task)
            assert was_flagged == ("cancel" in self.record(task))
            assert (before == "submitting") == ("cancel_unsent" in self.record(task))
        self.publish(effects.wakes)

    def retry(self, task: str) -> None:
        """Somebody retries it, twice; what was billed before is paid again with open eyes."""
        record = self.world.ledger.queries.record(task)
        if record is None:
            return
        is_over = record.state == "delivered" or (
            record.state == "settled" and not record.deliveries
        )
        holds = is_over and record.status != "succeeded" and record.late_remote_id is None
        item = self.world.retry_of(record)
        assert holds == self.fenced(holds, lambda: self.world.retry(item))
        assert not self.unchanged(lambda: self.world.retry(item))
        if not holds:
            return
        if record.status == "failed" and record.remote_id is None:
            assert not any(post.epoch == record.epoch for post in self.posts)
        self.life.posted[task] = 0
        self.life.delivered.discard(task)

    def webhook(self, task: str) -> None:
        holds = self.world.state(task) == "generating"
        effects = self.fenced(
            holds,
            lambda: self.world.ledger.generations.settle(
                task, None, "succeeded", {"kind": "image"}
            ),
        )
        assert bool(effects.wakes) == holds
        self.publish(effects.wakes)

    # -- a worker --------------------------------------------------------------------------

    @precondition(lambda self: self.messages)
    @rule(
        index=one_of_them,
        twice=st.booleans(),
        refused=rarely,
        dies=rarely,
        worker=st.sampled_from(WORKERS),
        keyless=rarely,
        expires=rarely,
    )
    def arrive(
        self,
        index: int,
        twice: bool,
        refused: bool,
        dies: bool,
        worker: str,
        keyless: bool,
        expires: bool,
    ) -> None:
        """A message arrives; its worker may die as soon as the ledger has answered."""
        message = pick(self.messages, index)
        refusal = {"error": {"type": "InputError"}} if refused else None
        given = {"worker": worker, "fault": "no key" if keyless else ""}
        if expires and not message.marker:  # a wake does not say it again
            given["expires"] = self.world.clock + 5.0 * index
        intent = self.intent_of(message, refusal=refusal, **given)
        verdict = self.ask(message, intent, twice=twice)
        if dies:
            return
        if verdict == "submit":
            self.posts.append(intent)
        elif verdict == "deliver":
            self.deliveries.append(intent)
        self.publish([self.wake])

    @precondition(lambda self: self.posts)
    @rule(index=one_of_them, how=st.sampled_from(ANSWERS), twice=st.booleans())
    def answer(self, index: int, how: str, twice: bool) -> None:
        """The POST is over, perhaps long after its lease was."""
        intent = pick(self.posts, index)
        if how in ("accepted", "terminal"):
            self.publish(self.tell_id(intent, terminal=how == "terminal", twice=twice))
        elif how in ("failed", "submit_unknown"):
            self.not_accepted(intent, how)
        elif how == "not created":
            self.not_created(intent, None)
        elif how != "dies":
            self.not_created(intent, pause_of(40.0 if twice else None, Scope(how)))

    def not_accepted(self, intent: Intent, status: str) -> None:
        holds = self.holds(intent.task_id, "submitting", run=intent.run)
        flagged = "cancel" in self.record(intent.task_id)
        effects = self.fenced(
            holds,
            lambda: self.world.ledger.generations.settle_submit(intent, status, {"error": {}}),
        )
        assert bool(effects.wakes) == holds
        if holds:
            assert self.record(intent.task_id)["status"] == ("cancelled" if flagged else status)
        self.publish(effects.wakes)

    def not_created(self, intent: Intent, pause: Pause | None) -> None:
        holds = self.holds(intent.task_id, "submitting", run=intent.run)
        flagged = bool(self.record(intent.task_id).keys() & {"cancel", "cancel_unsent"})
        effects = self.fenced(
            holds,
            lambda: self.world.ledger.generations.requeue(intent, pause),
        )
        ended = flagged or self.is_expired(intent.task_id)
        assert bool(effects.wakes) == (holds and ended)
        assert bool(effects) == holds
        if holds and not ended:
            assert effects.poll_by >= self.world.clock
        if holds and not flagged:
            self.life.posted[intent.task_id] -= 1
        self.publish(effects.wakes)

    @precondition(lambda self: self.deliveries)
    @rule(index=one_of_them, dies=rarely)
    def finish(self, index: int, dies: bool) -> None:
        """Celery dispatched what follows; said twice it counts once."""
        intent = pick(self.deliveries, index)
        if dies:
            return
        record = self.record(intent.task_id)
        if record.get("epoch") == intent.epoch:
            holds = record["state"] in ("settled", "delivering")
        else:
            holds = bool(self.lease_of(intent))
        assert holds == self.fenced(holds, lambda: self.delivered(intent))
        assert not self.unchanged(lambda: self.delivered(intent))

    # -- a sweep ---------------------------------------------------------------------------

    @rule(
        after=st.sampled_from([0.0, 4.0, 31.0, SUBMIT_LEASE + 1]),
        most=st.sampled_from([1000, 1]),
        wakes=st.sampled_from([200, 1]),
        dies=rarely,
    )
    def sweep(self, after: float, most: int, wakes: int, dies: bool) -> None:
        self.world.clock += after
        found = self.claim(most, wakes)
        if not dies:
            self.checks += found[0]
            self.publish(found[1])

    @precondition(lambda self: self.checks)
    @rule(index=one_of_them, how=st.sampled_from(CHECKED), errors=st.integers(0, 3))
    def check_ends(self, index: int, how: str, errors: int) -> None:
        """A check ends, or its claim is kept; a sweep that lost the claim changes nothing."""
        check = pick(self.checks, index)
        ledger, task, holds = self.world.ledger, check.due.task_id, self.holds_claim(check)
        if how == "renew":
            self.checks.append(check)
            self.fenced(holds, lambda: ledger.polling.renew(check.token, [task]))
        elif how == "still active":
            row = (task, self.world.clock + 3 * errors, 1, errors)
            assert holds == self.fenced(
                holds, lambda: ledger.polling.reschedule(check.token, [row])
            )
        else:
            effects = self.fenced(
                holds, lambda: ledger.generations.settle(task, check.token, how, {}, polls=1)
            )
            assert bool(effects.wakes) == holds
            self.publish(effects.wakes)
