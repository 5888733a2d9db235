"""The watchdog's copies of revoked ids, with a ledger that fails when told to."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from celery.utils.collections import LimitedSet
from celery.worker import state
from redis.exceptions import TimeoutError as RedisTimeoutError

from mulequeue.tasks import watchdog
from mulequeue.tasks.watchdog import Watchdog, make_watchdog


class FailingLedger:
    """Knows no record; keeps the ids that are revoked, and times out at those in ``failing``."""

    def __init__(self) -> None:
        self.revoked: list[str] = []
        self.failing: set[str] = set()
        self.queries = SimpleNamespace(records=lambda ids: [None] * len(ids))
        self.leases = SimpleNamespace(revoke=self.revoke)

    def revoke(self, task_id: str) -> None:
        if task_id in self.failing:
            raise RedisTimeoutError
        self.revoked.append(task_id)


@pytest.fixture
def ledger() -> FailingLedger:
    return FailingLedger()


@pytest.fixture
def revoked(monkeypatch: pytest.MonkeyPatch) -> LimitedSet:
    """What Celery remembers: at most four ids."""
    found = LimitedSet(maxlen=4, data=["before"])
    monkeypatch.setattr(state, "revoked", found)
    return found


@pytest.fixture
def dog(ledger: FailingLedger, revoked: LimitedSet) -> Watchdog:
    settings = SimpleNamespace(record_ttl_seconds=60)
    return Watchdog(SimpleNamespace(ledger=ledger, settings=settings))  # type: ignore[arg-type]


def test_each_new_id_is_copied_once(
    dog: Watchdog, ledger: FailingLedger, revoked: LimitedSet
) -> None:
    """What was revoked before the worker started is left alone."""
    revoked.add("new")

    dog.sync_revoked()
    dog.sync_revoked()

    assert ["new"] == ledger.revoked


def test_an_id_is_seen_once_the_ledger_has_it(
    dog: Watchdog, ledger: FailingLedger, revoked: LimitedSet
) -> None:
    """An id whose copy failed is copied by the next run, and no id is copied twice."""
    revoked.update(["a", "b", "c"])
    ledger.failing = {"b"}
    with pytest.raises(RedisTimeoutError):
        dog.sync_revoked()

    ledger.failing = set()
    dog.sync_revoked()

    assert ["a", "b", "c"] == sorted(ledger.revoked)


def test_no_more_is_remembered_than_celery_does(
    dog: Watchdog, ledger: FailingLedger, revoked: LimitedSet
) -> None:
    """Ids that Celery has forgotten are forgotten here as well."""
    for number in range(20):
        revoked.add(f"task-{number}")
        dog.sync_revoked()

    assert 20 == len(ledger.revoked)
    assert set(revoked) == dog._seen


def test_many_ids_are_copied_in_several_runs(
    dog: Watchdog,
    ledger: FailingLedger,
    revoked: LimitedSet,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One run copies a limited number, so that the poll loop is watched in between."""
    monkeypatch.setattr(watchdog, "_MAX_REVOKED_PER_RUN", 2)
    revoked.update(["a", "b", "c"])

    dog.sync_revoked()
    first = list(ledger.revoked)
    dog.sync_revoked()

    assert (2, ["a", "b", "c"]) == (len(first), sorted(ledger.revoked))


@pytest.fixture
def make_app() -> Iterator[Any]:
    made: list[Celery] = []

    def make(**conf: Any) -> Celery:
        made.append(Celery("shop", set_as_current=False))
        made[-1].conf.update(conf)
        return made[-1]

    yield make
    for app in made:
        app.close()


@pytest.mark.parametrize(
    ("conf", "watches"),
    [
        ({"broker_url": "memory://"}, False),
        ({"broker_url": "memory://", "mulequeue_redis_url": "redis://127.0.0.1:1/0"}, True),
        ({"broker_url": "redis://127.0.0.1:1/0"}, True),
        ({"broker_url": "redis://127.0.0.1:1/0", "mulequeue_fleet": 7}, False),
    ],
)
def test_a_worker_watches_its_own_fleet_only(
    make_app: Any, conf: dict[str, Any], watches: bool
) -> None:
    """Neither a worker with a wrong setting nor one in a test without a Redis touches a ledger."""
    assert watches == (make_watchdog(make_app(**conf)) is not None)
