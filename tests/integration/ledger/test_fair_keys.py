"""What shares a fair key takes one turn together, however many batches it is in."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule
from redis import Redis
from support.ledger_limits import REFUSED, lane, members
from support.ledger_random import WorldMachine, run_orders
from support.ledger_world import TTL, World, marker_of

LIMIT = 2
KEYS = ("", "A", "B", "C")
BATCHES = ("", "one", "two", "three")


def wait_in_line(world: World, fair_key: str, batch: str, count: int = 1) -> None:
    """So many members of a batch of a customer come, and wait."""
    given: dict[str, Any] = {"batch_id": batch, "batch_size": count} if batch else {}
    for index in range(count):
        world.clock += 0.001
        name = f"{fair_key}/{batch}/{index}"
        assert "parked" == world.ask(world.intent(name, fair_key=fair_key, **given)).action


def next_ones(world: World, running: str) -> list[str]:
    """``running`` ends; those that are let go are sent, up to their acceptance."""
    world.ledger.generations.settle(running, None, "succeeded", {})
    gone = []
    for wake in world.claim().wakes:
        if world.state(wake.task_id) == "waiting":
            intent = world.intent(wake.task_id, marker=marker_of(wake))
            assert "submit" == world.ask(intent).action
            world.record_id(intent, f"remote-{wake.task_id}")
            gone.append(wake.task_id)
    return gone


def let_go(world: World, count: int) -> list[str]:
    """So many, one after the other."""
    gone = ["first"]
    while len(gone) <= count:
        gone += next_ones(world, gone[-1])
    return gone[1:]


@pytest.fixture
def limited(redis: Redis) -> World:
    """A fleet that may have one generation in flight, and has it."""
    world = World(redis, limit=1)
    world.generating("first")
    return world


def test_a_customer_with_100_batches_gets_every_other_turn(limited: World) -> None:
    """A second customer with one batch, which comes last, gets the turns between."""
    for index in range(100):
        wait_in_line(limited, "A", f"a{index}")
    wait_in_line(limited, "B", "b", 10)

    gone = let_go(limited, 20)

    assert ["A", "B"] * 10 == [name[0] for name in gone]
    limited.check()


def test_batches_of_a_customer_take_turns(limited: World) -> None:
    """Within a key a small batch does not wait for a large one, and a single one goes first."""
    wait_in_line(limited, "A", "large", 20)
    wait_in_line(limited, "A", "small", 2)
    wait_in_line(limited, "A", "")

    gone = [name.split("/")[1] for name in let_go(limited, 6)]

    assert ["", "large", "small", "large", "small", "large"] == gone


def test_a_single_one_with_a_key_waits_for_the_turn_of_its_key(limited: World) -> None:
    """Without a key it goes before all; with one it takes no more turns than its customer has."""
    wait_in_line(limited, "A", "a", 3)
    wait_in_line(limited, "B", "b", 3)
    wait_in_line(limited, "A", "")
    wait_in_line(limited, "", "")

    assert ["//0", "A//0", "B/b/0", "A/a/0", "B/b/1"] == let_go(limited, 5)


def test_a_batch_without_a_key_takes_turns_with_the_keys(limited: World) -> None:
    """Its own id is what it takes turns by."""
    wait_in_line(limited, "A", "a1", 2)
    wait_in_line(limited, "A", "a2", 2)
    wait_in_line(limited, "", "other", 2)

    gone = ["A" if name.startswith("A") else "other" for name in let_go(limited, 4)]

    assert 2 == gone.count("other")


def test_a_batch_with_the_name_of_a_key_is_another_one(limited: World) -> None:
    """Keys and batches have separate turns, also if they have the same name."""
    wait_in_line(limited, "same", "x", 2)
    wait_in_line(limited, "", "same", 2)

    assert 4 == len({*let_go(limited, 4)})
    limited.check()


def test_what_is_refused_again_stays_within_its_key(redis: Redis) -> None:
    """The queue of such tasks takes turns with the batches of the key, so the key gets no second turn."""
    world = World(redis)
    intent = world.submit("t", fair_key="A", batch_id="a", batch_size=1)
    world.requeue(intent, 1)
    (wake,) = world.claim(2).wakes
    again = world.intent("t", marker=marker_of(wake), fair_key="A", batch_id="a", batch_size=1)
    assert "submit" == world.ask(again).action
    world.requeue(again, 1)

    [group] = members(world, "groups:default")
    assert ["t"] == lane(world, REFUSED, f"{group}\tA")
    world.check()


def test_a_retry_waits_under_the_key(limited: World) -> None:
    """And so does what was cancelled before; its record keeps the key."""
    wait_in_line(limited, "A", "a")
    limited.ledger.generations.cancel("A/a/0", ttl_seconds=TTL)
    record = limited.ledger.queries.record("A/a/0")
    assert record is not None

    assert limited.retry(limited.retry_of(record))

    assert ["A/a/0"] == lane(limited, "a", "\tA")
    limited.check()


# -- limits per key --------------------------------------------------------------------------


@pytest.fixture
def by_key(redis: Redis) -> World:
    """A fleet in which each customer may have two generations in flight."""
    return World(redis, max_in_flight_per_fair_key=2)


def submitted(world: World, count: int, fair_key: str = "A", **given: Any) -> int:
    """How many of so many new ones are submitted at once."""
    before = world.slots()
    for index in range(count):
        name = f"{fair_key}-{world.clock}-{index}"
        world.ask(world.intent(name, fair_key=fair_key, **given))
    return world.slots() - before


def test_a_customer_at_its_limit_holds_up_nobody_else(by_key: World) -> None:
    """More of it wait, while others, and those without a key, are submitted at once."""
    assert 2 == submitted(by_key, 5)
    assert 2 == submitted(by_key, 3, "B")
    assert 3 == submitted(by_key, 3, "")
    by_key.check()


def test_the_end_of_one_lets_the_next_of_its_key_go(by_key: World) -> None:
    """And no other one is woken; when all are over, nothing is left of the key."""
    for name in ("a", "b"):
        by_key.generating(name, fair_key="A")
    for name in ("c", "d"):
        assert "parked" == by_key.ask(by_key.intent(name, fair_key="A")).action
    assert [] == by_key.claim(40).wakes

    assert ["c"] == next_ones(by_key, "a")
    assert ["d"] == next_ones(by_key, "b")
    assert [[], []] == [next_ones(by_key, name) for name in ("c", "d")]
    assert {} == by_key.fields("keys:default")
    by_key.check()


def test_a_cancelled_grant_gives_its_slot_back(by_key: World) -> None:
    """A slot that is reserved for one that is woken goes to the next one of the key."""
    by_key.generating("a", fair_key="A")
    by_key.generating("b", fair_key="A")
    for name in ("c", "d"):
        by_key.ask(by_key.intent(name, fair_key="A"))
    by_key.ledger.generations.settle("a", None, "succeeded", {})
    assert "c" in {wake.task_id for wake in by_key.claim().wakes}

    by_key.ledger.generations.cancel("c", ttl_seconds=TTL)

    assert "d" in {wake.task_id for wake in by_key.claim().wakes}
    by_key.check()


@pytest.mark.parametrize(("limit", "more"), [(3, 1), (None, 3), (1, 0)])
def test_a_new_limit_holds_for_those_that_wait(
    by_key: World, redis: Redis, limit: int | None, more: int
) -> None:
    """Workers that are started with another limit, or with none, find those that wait."""
    submitted(by_key, 5)
    by_key.profile = World(redis, max_in_flight_per_fair_key=limit).profile

    assert more == len(by_key.claim(31).wakes)
    by_key.check()


def test_waiting_for_a_key_costs_nothing(by_key: World) -> None:
    """While 300 of a customer wait a sweep looks twice a minute at the gate, and at nothing else."""
    for name in ("a", "b"):
        by_key.submit(name, fair_key="A")
    for index in range(300):
        by_key.ask(by_key.intent(f"w{index}", fair_key="A"))

    assert [0, 1, 0, 1] == [by_key.claim(15.5).examined for _ in range(4)]


def test_slots_that_an_older_version_did_not_free_are_found(by_key: World, redis: Redis) -> None:
    """When nothing is in flight any more, no key is held up by a wrong count."""
    redis.hset(by_key.key("keys:default"), "A", 2)

    assert 2 == submitted(by_key, 5)
    by_key.check()


def test_what_expires_names_the_limit_of_its_key(by_key: World) -> None:
    """The reason of the wait is in the error."""
    submitted(by_key, 2)
    by_key.ask(by_key.intent("late", fair_key="A", expires=by_key.clock + 5))

    by_key.claim(6)

    record = by_key.ledger.queries.record("late")
    assert record is not None
    error = record.answer["error"]
    assert ("Expired", "max_in_flight_per_fair_key is reached for A") == (
        error["type"],
        error["detail"],
    )


def test_a_limit_in_dollars_per_key_is_exact(redis: Redis) -> None:
    """Each customer has its own; what is refused names it and is not counted."""
    world = World(redis, max_usd_per_day_per_fair_key=0.1)
    cost = {"usd_micros": 50_000}

    assert [2, 2] == [submitted(world, 3, name, **cost) for name in ("A", "B")]
    assert 3 == submitted(world, 3, "", **cost)
    refused = world.intent("C-refused", fair_key="A", **cost)
    assert "wake" == world.ask(refused).action
    record = world.ledger.queries.record("C-refused")
    assert record is not None
    title = record.answer["error"]["title"]
    assert "max_usd_per_day_per_fair_key of A in profile default, which is 0.10 USD" in title
    unpriced = world.intent("unpriced", fair_key="B", price_line="the line")
    assert "wake" == world.ask(unpriced).action
    world.check()


def test_what_is_not_created_gives_the_dollars_of_its_key_back(redis: Redis) -> None:
    """Refused by the API unpaid: another one of the customer may be sent."""
    world = World(redis, max_usd_per_day_per_fair_key=0.1)
    given = {"fair_key": "A", "usd_micros": 100_000}
    world.ledger.generations.settle_submit(world.submit("t", **given), "failed", None)

    assert "submit" == world.ask(world.intent("u", **given)).action
    assert "wake" == world.ask(world.intent("v", **given)).action
    world.check()


# -- any order of events ---------------------------------------------------------------------


class FairMachine(WorldMachine):
    """Customers, batches and single ones come, end and are cancelled in any order."""

    limits: ClassVar[dict[str, Any]] = {"limit": LIMIT}

    def __init__(self) -> None:
        super().__init__()
        self.running: list[str] = []
        self.count = 0
        self.since: dict[str, Counter[str]] = {}
        """By who waits for a turn: the turns of others since then."""
        self.inside: dict[str, Counter[str]] = {}
        """The same of the batches of each key."""

    @initialize()
    def fill(self) -> None:
        for index in range(LIMIT):
            self.world.generating(f"//{index}")
            self.running.append(f"//{index}")

    @rule(fair_key=st.sampled_from(KEYS), batch=st.sampled_from(BATCHES), count=st.integers(1, 4))
    def arrive(self, fair_key: str, batch: str, count: int) -> None:
        for _ in range(count):
            self.count += 1
            name = f"{fair_key}/{batch}/{self.count}"
            given: dict[str, Any] = {}
            if batch:
                given = {"batch_id": f"{fair_key}{batch}", "batch_size": 1000}
            self.world.clock += 0.001
            intent = self.world.intent(name, fair_key=fair_key, **given)
            if "submit" == self.world.ask(intent).action:
                self.world.record_id(intent, f"remote-{name}")
                self.running.append(name)
        self.note_waiting()

    @rule(index=st.integers(0, 7))
    def end(self, index: int) -> None:
        if self.running:
            self.end_one(index)

    @rule(index=st.integers(0, 7))
    def cancel(self, index: int) -> None:
        waiting = self.waiting()
        if waiting:
            self.world.ledger.generations.cancel(waiting[index % len(waiting)], ttl_seconds=TTL)
            self.note_waiting()

    def end_one(self, index: int) -> list[str]:
        name = self.running.pop(index % len(self.running))
        gone = next_ones(self.world, name)
        for taken in gone:
            self.take_turn(taken)
        self.running += gone
        self.note_waiting()
        return gone

    def take_turn(self, name: str) -> None:
        """Nobody takes two turns while another one, that waits, gets none."""
        turn, batch = turn_of(name), batch_of(name)
        self.since.pop(turn, None)
        self.inside.pop(batch, None)
        if turn:
            for turns in self.since.values():
                turns[turn] += 1
                assert 1 == turns[turn]
        if batch:
            for other, turns in self.inside.items():
                if other.split("/")[0] == batch.split("/")[0]:
                    turns[batch] += 1
                    assert 1 == turns[batch]

    def note_waiting(self) -> None:
        waiting = [name for name in self.waiting() if self.may_go(name)]
        self.since = kept(self.since, {turn_of(name) for name in waiting})
        self.inside = kept(self.inside, {batch_of(name) for name in waiting})

    def may_go(self, name: str) -> bool:
        """Whether its key is below its limit."""
        fair_key = name.split("/")[0]
        return not fair_key or self.world.key_slots(fair_key) < self.world.key_limit

    def waiting(self) -> list[str]:
        records = self.world.all_records().items()
        return sorted(name for name, it in records if it["state"] == "waiting")

    @invariant()
    def the_ledger_agrees_with_itself(self) -> None:
        self.world.check()
        assert self.world.slots() <= LIMIT
        assert all(self.world.key_slots(name) <= self.world.key_limit for name in KEYS)
        if any(map(self.may_go, self.waiting())):
            assert LIMIT == self.world.slots()

    def teardown(self) -> None:
        """Nothing starves: as the others end, each one that waits is let go."""
        while self.running:
            self.end_one(0)
        assert [] == self.waiting()
        assert 0 == self.world.slots()


def turn_of(name: str) -> str:
    """Return what a task takes turns by, or an empty text: it goes before all others."""
    fair_key, batch, _ = name.split("/")
    return f"key {fair_key}" if fair_key else batch


def batch_of(name: str) -> str:
    """Return key and batch of a task with a key, or an empty text: it goes before those of its key."""
    fair_key, batch, _ = name.split("/")
    return f"{fair_key}/{batch}" if fair_key and batch else ""


def kept(counters: dict[str, Counter[str]], waiting: set[str]) -> dict[str, Counter[str]]:
    """Return the counters of those that wait, of newcomers empty ones."""
    return {name: counters.get(name, Counter()) for name in waiting if name}


class LimitedFairMachine(FairMachine):
    """The same with a limit per key."""

    limits: ClassVar[dict[str, Any]] = {"limit": LIMIT, "max_in_flight_per_fair_key": 1}


@pytest.mark.parametrize("machine", [FairMachine, LimitedFairMachine])
def test_turns_are_fair_in_any_order_of_events(redis: Redis, machine: type[FairMachine]) -> None:
    """Among keys and batches, and among the batches of a key: one turn each; and nothing starves.

    No key exceeds its limit, no slot is left while one that may go waits, and none is lost.
    """
    run_orders(machine, redis, examples=25, steps=30)
