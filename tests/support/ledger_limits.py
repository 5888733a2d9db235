"""What holds of lanes, places, slots and budgets at any moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

Records = Mapping[str, Mapping[str, str]]


def check_limits(world: Any, records: Records) -> None:
    """Whatever waits stands in one lane; slots, places and budgets agree with the records."""
    check_lanes(world, records)
    gate = world.fields("gate:default")
    by_path = {name: int(count) for name, count in gate.items() if name.startswith("slots:")}
    assert Counter(f"slots:{it['slot']}" for it in records.values() if "slot" in it) == by_path
    granted = {it["grant"] for it in records.values() if is_granted(it) and "grant" in it}
    assert all(not_left(world, key) <= granted for key in keys(world, "rate:default:"))
    days = Counter(it["day"] for it in records.values() if "day" in it)
    assert days == {
        key.removeprefix("day:default:"): int(world.fields(key).get("total", 0))
        for key in keys(world, "day:default:")
        if int(world.fields(key).get("total", 0))
    }


def check_lanes(world: Any, records: Records) -> None:
    """Exactly those stand in a lane that wait and were granted nothing."""
    standing: dict[str, str] = {}
    rings: dict[str, set[str]] = {}
    for key in keys(world, "lane:default:"):
        group, _, batch = key.removeprefix("lane:default:").partition(":")
        rings.setdefault(group, set()).add(batch)
        for task_id in lane(world, batch, group):
            assert task_id not in standing
            standing[task_id] = group
            assert (group, batch) == (records[task_id]["group"], records[task_id].get("batch", ""))
    waiting = {name for name, it in records.items() if it["state"] == "waiting"}
    assert set(standing) == {name for name in waiting if "slot" not in records[name]}
    assert all("group" not in it for name, it in records.items() if name not in standing)
    assert set(rings) == set(members(world, "groups:default"))
    for group, batches in rings.items():
        assert batches == set(members(world, f"ring:default:{group}"))
    assert bool(standing) == (world.due("gate:default") is not None)


def is_granted(record: Mapping[str, str]) -> bool:
    return record["state"] == "waiting" and "slot" in record


def not_left(world: Any, key: str) -> set[str]:
    """The submissions that have a place for as long as nobody knows when they leave."""
    found = world.redis.zrangebyscore(world.key(key), "+inf", "+inf")
    return {member.decode() for member in found}


def lane(world: Any, batch: str = "", group: str = "") -> list[str]:
    """Who waits in a lane, the next one first."""
    return members(world, f"lane:default:{group}:{batch}")


def members(world: Any, name: str) -> list[str]:
    return [member.decode() for member in world.redis.zrange(world.key(name), 0, -1)]


def keys(world: Any, start: str) -> list[str]:
    """The keys that begin so, without the fleet's prefix."""
    pattern = world.key(start).replace("{", "?").replace("}", "?") + "*"
    prefix = world.key("")
    return [key.decode().removeprefix(prefix) for key in world.redis.scan_iter(pattern)]
