"""A fleet without processes: the ledger on a real Redis, a clock, and what a worker would ask."""

from __future__ import annotations

from collections import Counter
from typing import Any

from redis import Redis

from mulequeue.engine.submit.park import EPOCH
from mulequeue.ledger import (
    Claim,
    Effects,
    Intent,
    Ledger,
    Pause,
    Record,
    Retry,
    Scope,
    Verdict,
    Wake,
    new_token,
    pack,
    unpack,
)
from mulequeue.settings import Profile
from support.ledger_limits import check_limits

START = 1_800_000_000.0
SUBMIT_LEASE = 75.0
UNDER_WAY = ("waiting", "submitting", "generating")
TTL = 7 * 24 * 3600


class World:
    """One fleet. ``clock`` moves only when a test moves it."""

    def __init__(self, redis: Redis, *, limit: int | None = None, **limits: Any) -> None:
        self.redis = redis
        self.clock = START
        self.billed_before: list[dict[str, str]] = []
        """Records of attempts that may be billed, as they were when they were retried."""
        self.ledger = Ledger(redis, "test", clock=lambda: self.clock)
        account = {"name": "default", "base_url": "https://api.example", "api_key": "key"}
        self.profile = Profile(**account, max_in_flight=limit, **limits)

    @property
    def key_limit(self) -> float:
        """The most that a fair key may have in flight."""
        most = self.profile.max_in_flight_per_fair_key
        return float("inf") if most is None else most

    # -- what a worker does ----------------------------------------------------------------

    def intent(self, task_id: str, **given: Any) -> Intent:
        """The intent of a delivery; every call is another run."""
        epoch = given.setdefault("epoch", given.get("marker") or new_token())
        options = {"task_id": task_id}
        signature = {"task": "mulequeue.generate", "args": ["m", {"prompt": "a mule"}]}
        usual = {
            "task_id": task_id,
            "run": new_token(),
            "profile": self.profile,
            "path": "alibaba/v1/wan2.6-t2i/generation",
            "digest": "digest",
            "signature": {**signature, "kwargs": {EPOCH: epoch}, "options": options},
        }
        return Intent(**{**usual, **given})

    def ask(self, intent: Intent) -> Verdict:
        return self.ledger.generations.begin_delivery(intent, submit_seconds=60)

    def submit(self, task_id: str, **given: Any) -> Intent:
        """A first delivery that is told to POST."""
        intent = self.intent(task_id, **given)
        assert "submit" == self.ask(intent).action
        return intent

    def record_id(self, intent: Intent, remote_id: str, **given: Any) -> tuple[str, Wake | None]:
        usual = {"parked": intent.signature, "first_poll_seconds": 3.0, "max_wait_seconds": 600.0}
        recorded = self.ledger.generations.record_id(intent, remote_id, **{**usual, **given})
        return recorded.result, wake_of(recorded.effects)

    def generating(self, task_id: str, remote_id: str | None = None, **given: Any) -> Intent:
        """A generation that the API accepted."""
        intent = self.submit(task_id, **given)
        assert "generating" == self.record_id(intent, remote_id or f"remote-{task_id}")[0]
        return intent

    def settled(self, task_id: str, **given: Any) -> Wake:
        """A generation that succeeded; the wake that tells its task."""
        self.generating(task_id, **given)
        settle = self.ledger.generations.settle
        (wake,) = settle(task_id, None, "succeeded", {"kind": "image"}).wakes
        return wake

    def deliver(self, wake: Wake, **given: Any) -> Verdict:
        """A wake arrives at a worker."""
        return self.ask(self.intent(task_of(wake), marker=marker_of(wake), **given))

    def end(self, task_id: str, epoch: str) -> bool:
        """Celery has dispatched what follows a message."""
        return self.ledger.generations.end_delivery(task_id, epoch, ttl_seconds=TTL)

    def requeue(
        self, intent: Intent, seconds: float | None = None, scope: Scope = Scope.MODEL
    ) -> float | None:
        """Move it back to waiting after a refusal; return when it is due."""
        effects = self.ledger.generations.requeue(intent, pause_of(seconds, scope))
        return None if effects.wakes else effects.poll_by

    def claim(self, seconds_later: float = 0.0, **given: Any) -> Claim:
        self.clock += seconds_later
        return self.ledger.polling.claim([self.profile], chance=0.0, **given)

    def put(self, state: str, **given: Any) -> None:
        """Bring the task ``t`` into a state."""
        if state == "waiting":
            self.requeue(self.submit("t", **given))
        elif state == "submitting":
            self.submit("t", **given)
        elif state == "generating":
            self.generating("t", "r", **given)
        elif state == "tombstone":
            self.ledger.generations.cancel("t", ttl_seconds=TTL)
        elif state != "none":
            wake = self.settled("t", remote_id="r", **given)
            if state != "settled":
                assert "deliver" == self.deliver(wake).action
            if state == "delivered":
                assert self.ledger.generations.end_delivery("t", marker_of(wake), ttl_seconds=TTL)
        assert state == (self.state("t") or "none")

    def retry_of(self, record: Record) -> Retry:
        """A retry of a record as it is now."""
        intent = self.intent(record.task_id)
        message = pack(dict(intent.signature))
        return Retry(record=record, epoch=intent.epoch, message=message, profile=record.profile)

    def retry(self, item: Retry) -> bool:
        before = self.fields(f"record:{item.record.task_id}")
        done, effects = self.ledger.retries.retry([item], ttl_seconds=TTL)
        assert not effects.wakes
        if done and "day" in before:
            self.billed_before.append(before)
        return bool(done)

    # -- what there is ---------------------------------------------------------------------

    def state(self, task_id: str) -> str | None:
        record = self.ledger.queries.record(task_id)
        return None if record is None else record.state

    def due(self, name: str) -> float | None:
        """Seconds from now until the ledger wants something done with it."""
        score = self.redis.zscore(self.key("due"), name)
        return None if score is None else float(score) - self.clock

    def key(self, name: str) -> str:
        return f"{self.ledger.prefix}{name}"

    def fields(self, name: str) -> dict[str, str]:
        found = self.redis.hgetall(self.key(name))
        return {key.decode(): value.decode(errors="replace") for key, value in found.items()}

    def slots(self, profile: str = "default") -> int:
        return int(self.fields(f"gate:{profile}").get("slots", 0))

    def key_slots(self, fair_key: str) -> int:
        return int(self.fields("keys:default").get(fair_key, 0))

    def all_records(self) -> dict[str, dict[str, str]]:
        start = self.key("record:")
        names = [key.decode() for key in self.redis.scan_iter(f"{start.replace('{', '?')}*")]
        return {
            name.removeprefix(start): self.fields(name.removeprefix(self.ledger.prefix))
            for name in names
        }

    def everything(self) -> dict[bytes, bytes | None]:
        """Every key with its content, to see whether anything changed."""
        return {key: self.redis.dump(key) for key in self.redis.scan_iter("*")}

    def check(self) -> None:
        """What holds at any moment: due times, counts, batches and slots agree with the records."""
        records = self.all_records()
        living = {
            name for name, it in records.items() if it["state"] not in ("delivered", "tombstone")
        }
        due = {name.decode() for name in self.redis.zrange(self.key("due"), 0, -1)}
        assert living == {name for name in due if not name.startswith(("transfer:", "gate:"))}
        assert recount(records.values()) == nonzero(self.fields("counts"))
        assert in_flight(records.values()) == self.counted_in_flight()
        for batch in {it["batch"] for it in records.values() if "batch" in it}:
            members = [it for it in records.values() if it.get("batch") == batch]
            assert recount(members) == nonzero(self.fields(f"batch:{batch}"))
        holders = [it for it in records.values() if "slot" in it]
        assert len(holders) == self.slots()
        assert all(it["state"] in UNDER_WAY for it in holders)
        assert all("slot" in it for it in records.values() if it["state"] in UNDER_WAY[1:])
        check_limits(self, records)

    def counted_in_flight(self) -> Counter[tuple[str, str]]:
        """What the exporter shows, by path and state."""
        counted = self.ledger.metrics.counters()
        return Counter({labels: int(n) for labels, n in counted["in_flight"].items()})


def pause_of(seconds: float | None = None, scope: Scope = Scope.MODEL) -> Pause:
    """The pause that follows a refusal."""
    return Pause(scope=scope, reason="the reason", seconds=seconds, first=5, ceiling=300)


def in_flight(records: Any) -> Counter[tuple[str, str]]:
    """How many records there are of each path in each state, up to their delivery."""
    over = ("delivered", "tombstone")
    return Counter((it["path"], it["state"]) for it in records if it["state"] not in over)


def wake_of(effects: Effects) -> Wake | None:
    """The wake of a transition of one record, if it has one."""
    assert len(effects.wakes) <= 1
    return effects.wakes[0] if effects.wakes else None


def task_of(wake: Wake) -> str:
    """The task id of the message that a wake is published as."""
    return str(unpack(wake.signature)["options"]["task_id"])


def marker_of(wake: Wake) -> str:
    """The epoch in the message that a wake is published as."""
    return str(unpack(wake.signature)["kwargs"][EPOCH])


def recount(records: Any) -> Counter[str]:
    """How many records are in which bucket."""
    return Counter(
        it["state"] if it["state"] in UNDER_WAY else it["status"]
        for it in records
        if it["state"] != "tombstone"
    )


def nonzero(fields: dict[str, str]) -> Counter[str]:
    other = ("size", "members", "created", "stopped", "files", "downloaded")
    other += ("digest", "downloads", "published", "sent", "waiters", "expires", "reopened")
    return Counter(
        {
            key: int(value)
            for key, value in fields.items()
            if key not in other and not key.startswith("usd") and int(value)
        }
    )
