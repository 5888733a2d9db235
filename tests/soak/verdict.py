"""What came of it, told by the emulator, the storage, the receiver and the user's task alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import requests
from support.deaths import stored, unfinished
from support.fleet import KEY, Fleet
from support.receiver import Receiver

from mulequeue.ledger import outcome_of
from soak.orders import UNSURE, Orders

EXPECTED = {"completed": "succeeded", "failed": "failed"}
"""What the emulator says of a generation -> what the user has to be told."""
MUST_BE_ZERO = (
    "created twice",
    "paid and lost",
    "without an outcome",
    "told wrongly",
    "stuck in the ledger",
    "files missing",
    "half files",
    "notifications with two contents",
    "secrets sent to the asset host",
)


def _creates(fleet: Fleet) -> dict[str, list[str | None]]:
    """Remote ids that creates of a prompt were answered with, in order; None: refused."""
    found: dict[str, list[str | None]] = defaultdict(list)
    for create in fleet.emulator.creates():
        found[create["body"]["prompt"]].append(create["remote_id"])
    return found


def _is_paid_twice(prompt: str, ids: list[str | None]) -> bool:
    """Sent again although it was made, or might have been."""
    return any(ids[:-1]) or (UNSURE in prompt and len(ids) > 1)


def _told(orders: Orders) -> dict[str, dict[str, Any]]:
    """Task id -> the outcome that the user was given."""
    return {item["task_id"]: item for _, _, items in orders.seen() for item in items}


def _found(fleet: Fleet, orders: Orders) -> dict[str, dict[str, Any]]:
    """The same of orders whose last step, which is the user's own task, the broker lost.

    That is Celery's own delivery; ``mulequeue status`` tells what came of the generations.
    """
    open_ = orders.open()
    ids = [task_id for order in orders.all if order.name in open_ for task_id in order.prompts]
    records = fleet.ledger.queries.records(ids)
    return {r.task_id: outcome_of(r).to_dict() for r in records if r and r.state == "delivered"}


def _held_by_ledger(fleet: Fleet, task_id: str, paid: list[str]) -> list[str]:
    """The paid ids that the record of a task has, and that lead to it; its fields may be packed."""
    client, record = fleet.redis.client, fleet.ledger.queries.record(task_id)
    if record is None:
        return []
    more = client.hget(f"mulequeue:{{default}}:record:{task_id}", "more_remote_ids") or b""
    known = {record.remote_id, record.late_remote_id, *more.decode().split()}
    owner = task_id.encode()
    return [
        remote_id
        for remote_id in paid
        if remote_id in known and client.get(f"mulequeue:{{default}}:remote:{remote_id}") == owner
    ]


def _stuck(fleet: Fleet) -> list[str]:
    """Records that did not come to their end, and whatever still has a due time."""
    client, prefix = fleet.redis.client, "mulequeue:{default}:"
    found = [name.decode() for name in client.zrange(f"{prefix}due", 0, -1)]
    for key in client.scan_iter(f"{prefix}record:*", count=1000):
        if client.hget(key, "state") != b"delivered":
            found.append(key.decode().removeprefix(f"{prefix}record:"))
    return sorted(set(found))


def _damaged(fleet: Fleet, paths: list[Path]) -> list[str]:
    """Stored files that are not, byte for byte, what the API has now."""
    generations = {item["remote_id"]: item["api_path"] for item in fleet.emulator.generations()}
    found, session = [], requests.Session()
    session.trust_env = False
    for path in paths:
        remote_id = path.parent.name
        url = f"{fleet.emulator.url}{generations[remote_id]}/{remote_id}"
        headers = {"Authorization": f"Bearer {KEY}"}
        answer = session.get(url, headers=headers, timeout=30).json()
        if "images" not in answer:  # webhooks told its end, and its first check is a 404
            answer = session.get(url, headers=headers, timeout=30).json()
        asset = answer["images"][int(path.stem)]
        if session.get(asset, timeout=30).content != path.read_bytes():
            found.append(str(path))
    return found


class Verdict:
    """The table of one run, and whether it is good."""

    def __init__(self, fleet: Fleet, orders: Orders, receiver: Receiver) -> None:
        self.rows: dict[str, Any] = {}
        self.faults: dict[str, list[str]] = {}
        self._fleet, self._orders, self._receiver = fleet, orders, receiver
        self._prompts = {t: p for order in orders.all for t, p in order.prompts.items()}
        found = _found(fleet, orders)
        self._told = {**found, **_told(orders)}
        self._generations()
        self._files()
        self._notifications()
        self.rows["told by the ledger alone, for the broker had lost the user's own task"] = len(
            found
        )

    def _put(self, name: str, found: list[str]) -> None:
        self.rows[name] = len(found)
        self.faults[name] = found

    def _generations(self) -> None:
        creates = _creates(self._fleet)
        ends = {g["remote_id"]: g["status"] for g in self._fleet.emulator.generations()}
        statuses = Counter(item["status"] for item in self._told.values())
        stats = self._fleet.emulator.stats()
        self.rows |= {
            "orders": len(self._orders.all),
            "of these behind a generation of another one": sum(
                order.name.endswith("b") for order in self._orders.all
            ),
            "generations asked for": len(self._prompts),
            "creates that reached the API": stats["creates"],
            "creates refused": stats["refused"],
            "generations paid": stats["created"],
            "status checks": stats["polls"],
            **{f"told {status}": count for status, count in sorted(statuses.items())},
        }
        twice, lost, silent, wrong, unknown = [], [], [], [], 0
        for task_id, prompt in self._prompts.items():
            ids, told = creates[prompt], self._told.get(task_id)
            paid = [remote_id for remote_id in ids if remote_id]
            if _is_paid_twice(prompt, ids):
                twice.append(f"{prompt}: {ids}")
            if told is None:
                silent.append(f"{prompt}: {ids}")
                continue
            is_unknown = told["status"] == "submit_unknown"
            held = _held_by_ledger(self._fleet, task_id, paid)
            unknown += is_unknown and bool(set(paid) - set(held))
            if not is_unknown and set(paid) - set(held):
                lost.append(f"{prompt}: paid {paid}, recorded {held}, told {told['status']}")
            due = EXPECTED[ends[paid[-1]]] if paid else "failed"
            if not is_unknown and told["status"] != due:
                wrong.append(f"{prompt}: told {told['status']}, it is {due}")
        self.rows["paid, and told submit_unknown (the answer was lost)"] = unknown
        self._put("created twice", twice)
        self._put("paid and lost", lost)
        self._put("without an outcome", silent)
        self._put("told wrongly", wrong)
        self._put("stuck in the ledger", _stuck(self._fleet))
        self.rows["secrets sent to the asset host"] = stats["auth_leaks"]

    def _files(self) -> None:
        paths = stored(self._fleet)
        self.rows["files stored"] = len(paths)
        self._put("half files", _damaged(self._fleet, paths))
        there = {path.as_uri() for path in paths}
        missing = []
        for item in self._told.values():
            if item["status"] == "succeeded":
                urls = [f if isinstance(f, str) else f["url"] for f in item.get("files", [])]
                if not urls or set(urls) - there:
                    missing.append(f"{item['task_id']}: {urls}")
        self._put("files missing", missing)
        self.rows["left by killed downloads (names that start with a dot)"] = len(
            unfinished(self._fleet)
        )

    def _notifications(self) -> None:
        accepted = [item for item in self._receiver.received if item.answered == 200]
        contents: dict[str, set[bytes]] = defaultdict(set)
        for item in self._receiver.received:
            contents[item.id].add(item.body)
        self.rows["notifications accepted"] = len(accepted)
        self.rows["of these repeated (same id, same content)"] = len(accepted) - len(
            {item.id for item in accepted}
        )
        self._put(
            "notifications with two contents",
            [notification for notification, bodies in contents.items() if len(bodies) > 1],
        )
        kept = [name for name, _, _ in self._orders.seen()]
        chains = Counter(kept)
        self.rows["orders whose last step ran again"] = sum(n > 1 for n in chains.values())

    @property
    def is_good(self) -> bool:
        return not any(self.rows[name] for name in MUST_BE_ZERO)

    def text(self) -> str:
        """The table, and what is behind every row that should be 0."""
        lines = [f"| {name} | {value} |" for name, value in self.rows.items()]
        lines = ["| | |", "|---|---|", *lines]
        for name in MUST_BE_ZERO:
            lines += [f"  {name}: {what}" for what in self.faults.get(name, ())]
        return "\n".join(lines)
