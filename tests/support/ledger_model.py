"""What the ledger must answer, and what must hold: the model behind the random orders of events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from hypothesis.stateful import invariant

from mulequeue.ledger import Due, Intent, Wake, new_token
from mulequeue.settings.profiles import Limits
from support.ledger_random import WorldMachine
from support.ledger_world import UNDER_WAY, marker_of, task_of, wake_of

T = TypeVar("T")
BATCH = ("a", "b")
LIMIT = 2
MODEL_PATH = "google/v1/veo-3.1-fast/generation"
OF_MODEL = ("b", "c")
"""Tasks of a model with a limit of its own."""
FAIR_KEYS = {"a": "customer", "c": "customer"}
"""What these tasks take turns by; a member of a batch, and a single one."""
COSTS = {"a": 75_000, "b": 13_000, "c": 0}
"""Estimated costs in millionths of a US dollar; that of the other task is unknown."""


@dataclass(frozen=True)
class Message:
    """A delivery of ``generate`` that the broker holds."""

    task_id: str
    marker: str = ""
    tail: str = ""
    """What follows it: nothing, or the tasks of one canvas or another."""


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
        "max_in_flight_per_fair_key": 1,
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
        for task in self.world.all_records():
            assert not any(self.world.fields(f"continuations:{task}").values())
        assert 0 == self.world.slots()
        self.no_paid_id_is_dropped()

    def work_well(self, wake: Wake | None) -> None:
        """A wake reaches a worker, and nothing goes wrong."""
        if wake is None:
            return
        message = Message(task_of(wake), marker_of(wake))
        intent = self.intent_of(message)
        verdict = self.ask(message, intent)
        if verdict == "submit":
            self.tell_id(intent)
        if verdict == "deliver":
            assert self.delivered(intent)

    def delivered(self, intent: Intent) -> bool:
        ok = self.world.end(intent.task_id, intent.epoch)
        if ok and self.record(intent.task_id)["epoch"] == intent.epoch:
            self.life.delivered.add(intent.task_id)
        return ok

    def intent_of(self, message: Message, **given: object) -> Intent:
        if message.task_id in BATCH:
            given |= {"batch_id": "batch", "batch_size": len(BATCH)}
        if message.task_id in OF_MODEL:
            given["path"] = MODEL_PATH
        if not message.marker:
            given["tail"] = message.tail
        given["usd_micros"] = COSTS.get(message.task_id)
        given["fair_key"] = FAIR_KEYS.get(message.task_id, "")
        return self.world.intent(message.task_id, marker=message.marker, **given)

    def ask(self, message: Message, intent: Intent, *, twice: bool = False) -> str:
        """The verdict, checked against what the record was before."""
        record, slots = self.record(message.task_id), self.world.slots()
        of_key = self.world.key_slots("customer")
        canvases, lease = self.canvases(message.task_id), self.lease_of(intent)
        verdict = self.world.ask(intent)
        if message.marker and record.get("epoch") != message.marker:
            self.check_other_canvas(record, lease, verdict.action)
        elif record.get("state") not in (None, "tombstone") and not message.marker:
            self.check_duplicate(message, record, canvases, verdict.action)
        else:
            self.check_verdict(message, intent, record, verdict.action)
        if twice:  # the first answer was lost on the way
            first, verdict = verdict, self.world.ask(intent)
            self.check_repeated(intent, first.action, verdict.action)
        self.wake = wake_of(verdict.effects)
        if verdict.action == "submit":
            assert not intent.fault
            assert not self.is_expired(intent.task_id)
            assert self.world.slots() <= max(LIMIT, slots)
            assert self.world.key_slots("customer") <= max(self.world.key_limit, of_key)
            self.life.posted[intent.task_id] = self.life.posted.get(intent.task_id, 0) + 1
        if verdict.action == "deliver" and record["epoch"] == intent.epoch:
            after = int(self.record(message.task_id)["deliveries"])
            assert int(record.get("deliveries", 0)) + 1 == after
        elif verdict.action == "deliver":
            after = int(self.lease_of(intent)["attempts"])
            assert int(lease.get("attempts", 0)) + 1 == after
        return verdict.action

    def canvases(self, task: str) -> dict[str, str]:
        """The further canvases of a task: what follows, and the epoch until it was delivered."""
        return self.world.fields(f"continuations:{task}")

    def lease_of(self, intent: Intent) -> dict[str, str]:
        return self.world.fields(f"transfer:{intent.epoch}:{intent.task_id}")

    def check_other_canvas(self, record: dict[str, str], lease: dict[str, str], what: str) -> None:
        """A wake of a further canvas delivers once there is an outcome, and until it was delivered."""
        if not lease or not record:
            assert "stale" == what
        elif record["state"] in UNDER_WAY:
            assert "busy" == what
        else:
            assert what in ("deliver", "busy", "abandoned")
            assert (what == "busy") <= ("run" in lease)

    def check_duplicate(
        self, message: Message, record: dict[str, str], canvases: dict[str, str], what: str
    ) -> None:
        """Only a canvas that the ledger does not know yet is parked, or woken if there is an outcome."""
        known = {record.get("tail"), "", *canvases}
        if message.tail in known or "tail" not in record:
            assert "duplicate" == what
        else:
            assert ("attached" if record["state"] in UNDER_WAY else "wake") == what

    def check_repeated(self, intent: Intent, first: str, second: str) -> None:
        known = {("abandoned", "busy")}
        if intent.marker:  # a woken task that is refused twice hears its own refusal
            known.add(("wake", "deliver"))
        assert first == second or (first, second) in known, (first, second)

    def check_verdict(
        self, message: Message, intent: Intent, record: dict[str, str], what: str
    ) -> None:
        state = record.get("state")
        if message.marker and state in ("settled", "delivering"):
            assert what in ("deliver", "busy", "abandoned")
            assert (what == "busy") <= (state == "delivering")
        elif message.marker and state == "waiting":
            ends = intent.refusal or self.is_expired(message.task_id)
            assert what in (("wake",) if ends else ("submit", "parked"))
        elif message.marker:
            assert "busy" == what
        else:
            stopped = "stopped" in self.world.fields("batch:batch") and message.task_id in BATCH
            ends = state == "tombstone" or stopped or intent.refusal is not None
            ends = ends or self.is_expired(message.task_id)
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
        slots, of_key = self.world.slots(), self.world.key_slots("customer")
        found = self.world.claim(limit=most, wake_limit=wakes)
        assert len(found.wakes) <= wakes
        assert self.world.slots() <= max(LIMIT, slots)
        assert self.world.key_slots("customer") <= max(self.world.key_limit, of_key)
        for due in found.polls:
            assert self.holds(due.task_id, "generating", claim=found.token)
        for wake in found.wakes:
            task, state = task_of(wake), self.world.state(task_of(wake))
            is_first = self.record(task).get("epoch") == marker_of(wake)
            assert not is_first or state in ("waiting", "settled")
        return [Check(found.token, due) for due in found.polls], found.wakes

    def publish(self, wakes: Sequence[Wake | None]) -> None:
        self.messages += [Message(task_of(it), marker_of(it)) for it in wakes if it is not None]

    def is_expired(self, task: str) -> bool:
        return float(self.record(task).get("expires", "inf")) <= self.world.clock

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
