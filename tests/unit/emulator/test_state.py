"""What the emulator remembers."""

from __future__ import annotations

import asyncio
import math

import pytest

from mulequeue.catalog import find
from mulequeue.emulator.faults import Faults
from mulequeue.emulator.state import State, shorten

IMAGE = find("alibaba/wan2.6-t2i")


class Clock:
    def __init__(self, now=1000.0):
        self.now = now

    def __call__(self):
        return self.now


def state(seed=1, faults=None, **options):
    return State(seed=seed, clock=Clock(), faults=Faults.parse(faults or {}), **options)


def test_a_generation_takes_a_time_between_the_two():
    """Every life lies in the range and they differ."""
    store = state(min_seconds=2, max_seconds=5)

    lives = [store.store(IMAGE, {"prompt": f"p{i}"}).seconds for i in range(50)]

    assert 2 <= min(lives) < max(lives) <= 5
    assert 50 == len(set(lives))


def test_a_seed_fixes_the_times_whatever_the_order():
    """The same seed and body give the same life, in any order of arrival."""
    bodies = [{"prompt": f"p{i}"} for i in range(10)]
    one, other, another = state(), state(), state(seed=2)

    lives = {body["prompt"]: one.store(IMAGE, body).seconds for body in bodies}

    for body in reversed(bodies):
        assert lives[body["prompt"]] == other.store(IMAGE, body).seconds
        assert lives[body["prompt"]] != another.store(IMAGE, body).seconds


def test_a_range_upside_down_is_refused():
    """The shortest life cannot be longer than the longest."""
    with pytest.raises(ValueError, match="min_seconds"):
        state(min_seconds=5, max_seconds=2)


def test_the_same_path_and_body_again_is_a_duplicate():
    """Key order does not matter; another path or another value does."""
    store = state()

    store.store(IMAGE, {"prompt": "a", "n": 1})
    store.store(IMAGE, {"n": 1, "prompt": "a"})
    store.store(IMAGE, {"prompt": "a", "n": 2})
    store.store(find("alibaba/wan2.6-t2v"), {"prompt": "a", "n": 1})

    assert (4, 1) == (store.counters.values["created"], store.counters.values["duplicates"])


@pytest.mark.parametrize(
    ("life", "seconds"),
    [
        ({"seconds": 0.5}, 0.5),
        ({"end": "never"}, math.inf),
        ({"polls": 3}, math.inf),
        ({"at_create": True}, 0.0),
    ],
)
def test_a_life_decides_the_time(life, seconds):
    """The faults' lives win over the range."""
    assert seconds == state(faults={"lives": [life]}).store(IMAGE, {"prompt": "a"}).seconds


def test_urls_stay_the_same_until_they_expire():
    """Every poll shows the same URLs, after their expiry fresh ones."""
    store = state(faults={"asset_seconds": 60})
    generation = store.store(IMAGE, {"prompt": "a", "n": 2})
    ended = generation.ended

    first = store.assets(generation, ended, "h")

    assert first == store.assets(generation, ended + 59, "h")
    assert 2 == len(set(first))
    assert first != store.assets(generation, ended + 60, "h")


def test_expired_urls_may_stay_expired():
    """Whether fresh URLs come is a switch."""
    store = state(faults={"asset_seconds": 60, "asset_renewal": False})
    generation = store.store(IMAGE, {"prompt": "a"})

    first = store.assets(generation, generation.ended, "h")

    assert first == store.assets(generation, generation.ended + 999, "h")


def test_url_lives_as_long_as_the_model_says():
    """Without a fault the catalog's retention counts, from the end of the generation."""
    store = state()
    generation = store.store(IMAGE, {"prompt": "a"})

    store.assets(generation, generation.ended + 5, "h")

    assert generation.ended + IMAGE.retention_seconds == generation.links_expire


def test_release_lets_the_longest_held_go_first():
    """A count and a kind choose who goes on."""

    async def scenario():
        store, order = state(), []

        async def held(kind, name):
            await store.hold(kind)
            order.append(name)

        tasks = [
            asyncio.ensure_future(held(kind, name))
            for kind, name in [("creates", "c1"), ("polls", "p1"), ("creates", "c2")]
        ]
        assert await store.counters.wait_for({"held": 3, "held_creates": 2}, 5)

        assert 1 == store.release("creates", 1)
        await tasks[0]
        assert ["c1"] == order
        assert 2 == store.release()
        await asyncio.gather(*tasks)
        assert 0 == store.counters.values["held"]

    asyncio.run(scenario())


def test_a_reset_forgets_and_keeps_the_start():
    """Generations and counters go, the faults are those it was started with."""
    store = state(faults={"vocabulary": "A"})
    store.store(IMAGE, {"prompt": "a"})
    store.faults = store.faults.updated({"vocabulary": "B"})

    store.clear()

    assert {} == store.generations
    assert 0 == store.counters.values["created"]
    assert "A" == store.faults.vocabulary


def test_a_reset_gives_used_up_bursts_back():
    """Counts are those of the start again."""
    store = state(faults={"polls": [{"do": "drop", "count": 1}]})
    store.faults.take("polls", "", edge=True)

    store.reset_faults()

    assert 1 == store.faults.polls[0].count


def test_long_texts_are_remembered_by_their_hash():
    """A file in a body does not fill the memory; ordinary prompts stay as they are."""
    body = {"prompt": "a mule", "images": ["x" * 70_000]}

    short = shorten(body)

    assert "a mule" == short["prompt"]
    assert short["images"][0].startswith("<sha256:")
    assert short["images"][0].endswith("of 70000 characters>")


def test_waiting_for_an_unknown_counter_is_refused():
    """The error lists the counters."""
    with pytest.raises(ValueError, match=r"No counter 'pols'\. Known: creates"):
        asyncio.run(state().counters.wait_for({"pols": 1}, 1))
