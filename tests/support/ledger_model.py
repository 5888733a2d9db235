"""What the ledger must answer, and what must hold: the model behind the random orders of events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from hypothesis.stateful import invariant

from mulequeue.ledger import Due, Intent, Wake, new_token
from mulequeue.settings.profiles import Limits
from support.ledger_random import WorldMachine
from support.ledger_world import TTL, marker_of, wake_of

T = TypeVar("T")
BATCH = ("a", "b")
LIMIT = 2
MODEL_PATH = "google/v1/veo-3.1-fast/generation"
OF_MODEL = ("b", "c")
"""Tasks of a model with a limit of its own."""


@dataclass(frozen=True)
class Message:
    """A delivery of ``generate`` that the broker holds."""

    task_id: str
    marker: str = ""


@dataclass(frozen=True)
class Check:
    """A status check that a sweep has in hand, maybe for much too long."""

    token: str
    due: Due


@dataclass
class Life:
    """What must be remembered from one loss of Redis to the next."""

    posted: dict[str, int] = field(default_factory=dict)
    """POSTs that may have created something, by task."""
    ids: list[tuple[str, str]] = field(default_factory=list)
    delivered: set[str] = field(default_factory=set)


class LedgerModel(WorldMachine):
    """Asks the ledger, and checks every answer against what the record was before."""

    limits: ClassVar[dict[str, Any]] = {
        "limit": LIMIT,
        "submissions_per_second": 2,
        "submissions_per_minute": 3,
        "models": {MODEL_PATH: Limits(max_in_flight=1)},
    }

    def __init__(self) -> None:
        super().__init__()
        self.life = Life()
        self.messages: list[Message] = []
        self.posts: list[Intent] = []  # told to POST, and nothing said yet of what came of it
        self.checks: list[Check] = []
        self.deliveries: list[Intent] = []
        self.ids = 0

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
            assert task == self.world.ledger.queries.task_of(remote_id)

    @invariant()
    def delivered_stays_delivered(self) -> None:
        assert all("delivered" == self.world.state(task) for task in self.life.delivered)

    def teardown(self) -> None:
        """Whatever happened, from here on a worker that works brings every record to its end."""
        self.world.ledger.limits.resume_submissions("default")
        for _ in range(300):
            head = self.world.ledger.queries.overdue()[1]
            if head is None:
                break
            self.world.clock = max(self.world.clock, head)
            checks, wakes = self.claim(1000, 200)
            settle = self.world.ledger.generations.settle
            ends = [wake_of(settle(it.due.task_id, it.token, "succeeded", {})) for it in checks]
            for wake in [*wakes, *ends]:
                self.work_well(wake)
            self.world.check()
        records = self.world.all_records().values()
        assert all(it["state"] in ("delivered", "tombstone") for it in records), records
        assert 0 == self.world.slots()
        self.no_paid_id_is_dropped()

    def work_well(self, wake: Wake | None) -> None:
        """A wake reaches a worker, and nothing goes wrong."""
        if wake is None:
            return
        message = Message(wake.task_id, marker_of(wake))
        intent = self.intent_of(message)
        verdict = self.ask(message, intent)
        if verdict == "submit":
            self.tell_id(intent)
        if verdict == "deliver":
            assert self.delivered(intent)

    def delivered(self, intent: Intent) -> bool:
        ok = self.world.ledger.generations.end_delivery(
            intent.task_id, intent.epoch, ttl_seconds=TTL
        )
        if ok:
            self.life.delivered.add(intent.task_id)
        return ok

    def intent_of(self, message: Message, **given: object) -> Intent:
        if message.task_id in BATCH:
            given |= {"batch_id": "batch", "batch_size": len(BATCH)}
        if message.task_id in OF_MODEL:
            given["path"] = MODEL_PATH
        return self.world.intent(message.task_id, marker=message.marker, **given)

    def ask(self, message: Message, intent: Intent, *, twice: bool = False) -> str:
        """The verdict, checked against what the record was before."""
        record, slots = self.record(message.task_id), self.world.slots()
        verdict = self.world.ask(intent)
        self.check_verdict(message, intent, record, verdict.action)
        if twice:  # the first answer was lost on the way
            first, verdict = verdict, self.world.ask(intent)
            self.check_repeated(intent, first.action, verdict.action)
        self.wake = wake_of(verdict.effects)
        if verdict.action == "submit":
            assert self.world.slots() <= max(LIMIT, slots)
            self.life.posted[intent.task_id] = self.life.posted.get(intent.task_id, 0) + 1
        if verdict.action == "deliver":
            after = int(self.record(message.task_id)["deliveries"])
            assert int(record.get("deliveries", 0)) + 1 == after
        return verdict.action

    def check_repeated(self, intent: Intent, first: str, second: str) -> None:
        known = {("abandoned", "busy")}
        if intent.marker:  # a woken task that is refused twice hears its own refusal
            known.add(("wake", "deliver"))
        assert first == second or (first, second) in known, (first, second)

    def check_verdict(
        self, message: Message, intent: Intent, record: dict[str, str], what: str
    ) -> None:
        state = record.get("state")
        if message.marker and record.get("epoch") != message.marker:
            assert "stale" == what
        elif message.marker and state in ("settled", "delivering"):
            assert what in ("deliver", "busy", "abandoned")
            assert (what == "busy") <= (state == "delivering")
        elif message.marker and state == "waiting":
            assert what in (("wake",) if intent.refusal else ("submit", "parked"))
        elif message.marker:
            assert "busy" == what
        elif state not in (None, "tombstone"):
            assert "duplicate" == what
        else:
            stopped = "stopped" in self.world.fields("batch:batch") and message.task_id in BATCH
            ends = state == "tombstone" or stopped or intent.refusal is not None
            assert what in (("wake",) if ends else ("submit", "parked"))

    def tell_id(
        self, intent: Intent, *, terminal: bool = False, twice: bool = False
    ) -> list[Wake | None]:
        """Give the ledger a paid id, and see that it is taken as it should be."""
        self.ids += 1
        remote_id, hold = f"remote-{self.ids}", new_token() if terminal else ""
        expected = self.fate_of_id(self.record(intent.task_id), intent)
        what, wake = self.world.record_id(intent, remote_id, claim_token=hold)
        self.life.ids.append((intent.task_id, remote_id))
        assert expected == what
        if twice:
            again, _ = self.world.record_id(intent, remote_id, claim_token=hold)
            assert again == ("attached" if what == "attached" else "known")
        wakes = [wake]
        if hold and what == "generating":
            settle = self.world.ledger.generations.settle
            wakes.append(wake_of(settle(intent.task_id, hold, "succeeded", {})))
            assert wakes[-1] is not None
        return wakes

    def fate_of_id(self, before: dict[str, str], intent: Intent) -> str:
        """What becomes of an id, by what the record was before."""
        state, status = before.get("state"), before.get("status")
        if state is None:
            return "generating"
        if state == "tombstone":
            return "cancelled"
        is_open = state in ("waiting", "submitting") or (
            state == "settled" and status in ("submit_unknown", "cancelled")
        )
        if before["epoch"] != intent.epoch or "remote_id" in before or not is_open:
            return "attached"
        return "cancelled" if status == "cancelled" or "cancel" in before else "generating"

    def claim(self, most: int, wakes: int) -> tuple[list[Check], list[Wake]]:
        slots = self.world.slots()
        found = self.world.claim(limit=most, wake_limit=wakes)
        assert len(found.wakes) <= wakes
        assert self.world.slots() <= max(LIMIT, slots)
        for due in found.polls:
            assert self.holds(due.task_id, "generating", claim=found.token)
        for wake in found.wakes:
            assert self.world.state(wake.task_id) in ("waiting", "settled")
        return [Check(found.token, due) for due in found.polls], found.wakes

    def publish(self, wakes: Sequence[Wake | None]) -> None:
        self.messages += [Message(it.task_id, marker_of(it)) for it in wakes if it is not None]

    def record(self, task: str) -> dict[str, str]:
        return self.world.fields(f"record:{task}")

    def holds(self, task: str, state: str, **tokens: str) -> bool:
        record = self.record(task)
        return record.get("state") == state and all(record.get(k) == v for k, v in tokens.items())

    def holds_claim(self, check: Check) -> bool:
        return self.holds(check.due.task_id, "generating", claim=check.token)

    def fenced(self, holds: bool, call: Callable[[], T]) -> T:
        """Run it; who does not hold the record changes nothing at all."""
        return call() if holds else self.unchanged(call)

    def unchanged(self, call: Callable[[], T]) -> T:
        before = self.world.everything()
        found = call()
        assert before == self.world.everything()
        return found
