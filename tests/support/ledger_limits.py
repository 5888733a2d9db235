"""What holds of lanes, places, slots and budgets at any moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

LONGEST_ASIDE = 300.0
REFUSED = "\nrefused"
Records = Mapping[str, Mapping[str, str]]


def check_limits(world: Any, records: Records) -> None:
    """Whatever waits stands in one lane; slots, places and budgets agree with the records."""
    check_lanes(world, records)
    check_probes(world, records)
    gate = world.fields("gate:default")
    by_path = {name: int(count) for name, count in gate.items() if name.startswith("slots:")}
    assert Counter(f"slots:{it['slot']}" for it in records.values() if "slot" in it) == by_path
    check_keys(world, records)
    granted = {it["grant"] for it in records.values() if is_granted(it) and "grant" in it}
    assert all(not_left(world, key) <= granted for key in keys(world, "rate:default:"))
    billed = [*records.values(), *world.billed_before]
    days = Counter(it["day"] for it in billed if "day" in it)
    assert days == {
        key.removeprefix("day:default:"): int(world.fields(key).get("total", 0))
        for key in keys(world, "day:default:")
        if int(world.fields(key).get("total", 0))
    }
    check_costs(world, billed)


def check_keys(world: Any, records: Records) -> None:
    """Slots of fair keys agree with the records, and those outside of the rotation are at their limit."""
    holders = (it for it in records.values() if "slot" in it and "fair_key" in it)
    slots = Counter(it["fair_key"] for it in holders)
    assert slots == {name: int(count) for name, count in world.fields("keys:default").items()}
    for key in keys(world, "full:default:"):
        assert all(slots[name[1:]] >= world.key_limit for name in members(world, key))


def check_costs(world: Any, billed: Sequence[Mapping[str, str]]) -> None:
    """Days and batches have reserved what their records cost, to the millionth."""
    for kind, start in (("day", "day:default:"), ("batch", "batch:")):
        for key in keys(world, start):
            counted = world.fields(key)
            of_key = [it for it in billed if it.get(kind) == key.removeprefix(start)]
            costs: Counter[str] = Counter()
            for it in of_key:
                if "day" in it and "usd" in it:
                    costs.update({"usd": int(it["usd"]), f"usd:{it['path']}": int(it["usd"])})
                if "day" in it and "usd" in it and "fair_key" in it and kind == "day":
                    costs[f"usd\t{it['fair_key']}"] += int(it["usd"])
            spent = {name: int(usd) for name, usd in counted.items() if name.startswith("usd")}
            assert +costs == +Counter(spent)
            assert all(usd >= 0 for usd in spent.values())


def check_probes(world: Any, records: Records) -> None:
    """Only one that is on its way, or about to be, is a probe: none blocks the others for nothing."""
    for key in keys(world, "gate:default"):
        prober = world.fields(key).get("prober")
        if prober is not None and float(world.fields(key)["probe"]) > world.clock:
            assert records[prober]["state"] == "submitting" or is_granted(records[prober])


def check_lanes(world: Any, records: Records) -> None:
    """Exactly those stand in a lane that wait and were granted nothing."""
    standing: dict[str, str] = {}
    rings: dict[str, set[str]] = {}
    for key in keys(world, "lane:default:"):
        name, _, batch = key.removeprefix("lane:default:").partition(":")
        group, _, fair_key = name.partition("\t")
        rings.setdefault(name, set()).add(batch)
        if fair_key:
            rings.setdefault(group, set()).add(f"\t{fair_key}")
        for task_id in lane(world, batch, name):
            assert task_id not in standing
            standing[task_id] = group
            record = records[task_id]
            own = REFUSED if int(record.get("refusals", 0)) > 1 else record.get("batch", "")
            assert (group, batch) == (record["group"], own)
            assert fair_key == record.get("fair_key", "")
    waiting = {name for name, it in records.items() if it["state"] == "waiting"}
    aside = {name for name in waiting if is_aside(records[name])}
    assert set(standing) == {name for name in waiting if "slot" not in records[name]} - aside
    assert all(world.due(name) <= LONGEST_ASIDE for name in aside)
    assert all("group" not in it for name, it in records.items() if name not in standing)
    groups = {name.partition("\t")[0] for name in rings}
    assert groups == set(members(world, "groups:default"))
    for name, batches in rings.items():
        full = members(world, f"full:default:{name}")
        assert sorted(batches) == sorted([*members(world, f"ring:default:{name}"), *full])
    assert {key.removeprefix("full:default:") for key in keys(world, "full:default:")} <= groups
    assert bool(standing) == (world.due("gate:default") is not None)


def is_granted(record: Mapping[str, str]) -> bool:
    return record["state"] == "waiting" and "slot" in record


def is_aside(record: Mapping[str, str]) -> bool:
    """Whether it alone is refused, and waits by itself."""
    return "slot" not in record and "group" not in record and "refusals" in record


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
