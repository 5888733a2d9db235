"""What is asked of the fleet: chains, chords and batches, each prompt unique, each id known."""

from __future__ import annotations

import itertools
import json
import random
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from support.fleet import Fleet
from support.receiver import Receiver

from mulequeue.tasks.batch_ids import member_id
from mulequeue.tasks.canvases import generate_many

MODEL = "alibaba/wan2.6-t2i"
UNSURE = "unsure"
"""In the prompts whose creates may be answered 5xx, dropped, or answered without an id."""
PLAIN = "plain"
"""In all others: only refusals that are sent again (429) are made for them."""
FAILS = "fails"
"""In the prompts whose generations fail at the API."""
ODD = "odd"
"""Together with a number, in the prompts whose generations have unusual states."""
ODD_COUNT = 3


@dataclass
class Order:
    """One call of a user: a chain, a chord, or a batch."""

    name: str
    kind: str
    prompts: dict[str, str]
    """Task id of ``generate`` -> its prompt."""
    signature: Any = field(repr=False)
    sent: float = 0.0
    """Unix seconds: when the broker had all of it."""


class Orders:
    """Makes orders and sends each until the broker has it, which may be more than once.

    :param receiver: of the user's notifications.
    """

    def __init__(self, fleet: Fleet, receiver: Receiver, chance: random.Random) -> None:
        self._fleet, self._receiver, self._chance = fleet, receiver, chance
        self._numbers = itertools.count()
        self.kept = fleet.folder / "kept.jsonl"
        self.all: list[Order] = []

    def _prompt(self, name: str) -> str:
        words = [name, UNSURE if self._chance.random() < 0.15 else PLAIN]
        if self._chance.random() < 0.05:
            words.append(FAILS)
        elif self._chance.random() < 0.1:
            words.append(f"{ODD}{self._chance.randrange(ODD_COUNT)}")
        return " ".join(words)

    def _generate(self, task_id: str, prompt: str) -> Any:
        args, call = [MODEL, {"prompt": prompt, "n": 1}], {"on_failure": "return"}
        call["poll_interval"] = self._chance.choice([0.5, 1.0, 2.0])
        for name in ("input", "model")[: self._chance.randint(0, 2)]:  # some by keyword
            call[name] = args.pop()
        return self._fleet.task("mulequeue.generate", *args, **call).set(task_id=task_id)

    def _task(self, name: str, task_id: str, *args: Any) -> Any:
        return self._fleet.task(name, *args).set(task_id=task_id)

    def _keep(self, name: str) -> Any:
        return self._task("soak.keep", f"{name}-keep", name, str(self.kept))

    def _chain(self, name: str) -> Order:
        return self._chain_of(name, {f"{name}-0": self._prompt(f"{name}-0")})

    def _second_chain(self, order: Order) -> Order:
        """Another chain, behind the same generation."""
        return self._chain_of(f"{order.name}b", order.prompts)

    def _chain_of(self, name: str, prompts: dict[str, str]) -> Order:
        ((task_id, prompt),) = prompts.items()
        signature = self._generate(task_id, prompt)
        signature |= self._task("mulequeue.download", f"{name}-files")
        signature |= self._task("mulequeue.notify", f"{name}-told", self._receiver.url)
        return Order(name, "chain", prompts, signature | self._keep(name))

    def _chord(self, name: str) -> Order:
        ids = [f"{name}-{index}" for index in range(self._chance.randint(3, 9))]
        prompts = {task_id: self._prompt(task_id) for task_id in ids}
        header = [
            self._generate(task_id, prompt) | self._task("mulequeue.download", f"{task_id}-files")
            for task_id, prompt in prompts.items()
        ]
        return Order(
            name,
            "chord",
            prompts,
            self._fleet.chord(header, self._keep(name)).set(task_id=f"{name}-keep"),
        )

    def _batch(self, name: str) -> Order:
        return self._many(name, "batch", notify=self._receiver.url)

    def _piped(self, name: str) -> Order:
        order = self._many(name, "piped")
        order.signature |= self._keep(name)
        return order

    def _many(self, name: str, kind: str, **call: Any) -> Order:
        ids = [member_id(name, index) for index in range(self._chance.randint(3, 9))]
        prompts = {task_id: self._prompt(task_id) for task_id in ids}
        inputs = [{"prompt": prompt, "n": 1} for prompt in prompts.values()]
        signature = generate_many(MODEL, inputs, batch_id=name, poll_interval=1.0, **call)
        return Order(name, kind, prompts, signature)

    def _new(self) -> list[Order]:
        name = f"order{next(self._numbers)}"
        make = self._chance.choice(
            [self._chain, self._chain, self._chain, self._chord, self._batch, self._piped]
        )
        order = make(name)
        if order.kind == "chain" and self._chance.random() < 0.25:
            return [order, self._second_chain(order)]
        return [order]

    def send(self, stop: threading.Event, *, per_minute: float) -> None:
        """Send orders until ``stop`` is set, so many generations a minute; blocks."""
        self._fleet.app.set_current()  # Celery's current app is one thread's own
        while not stop.is_set():
            orders = self._new()
            self.all += orders
            for order in orders:
                self.send_one(order)
            stop.wait(60 * len(orders[0].prompts) / per_minute * self._chance.uniform(0.5, 1.5))

    def send_one(self, order: Order) -> None:
        """Until the broker took it: after an error it is sent again, with the same ids."""
        while True:
            try:
                order.signature.clone().apply_async()
            except Exception as exc:
                print(f"  sending {order.name} again: {type(exc).__name__}", flush=True)
                time.sleep(1)
            else:
                order.sent = order.sent or time.time()
                return

    def seen(self) -> list[tuple[str, float, list[dict[str, Any]]]]:
        """What the user's task and the receiver were given: order, time, outcomes."""
        found = []
        for line in self.kept.read_text().splitlines() if self.kept.exists() else ():
            kept = json.loads(line)
            value = kept["value"]
            found.append((kept["order"], kept["at"], value if isinstance(value, list) else [value]))
        for told in list(self._receiver.received):
            body = json.loads(told.body)
            if body["type"] == "batch.finished" and told.answered == 200:
                members = body["data"]["generations"]
                name = members[0]["task_id"].rpartition("-")[0]
                found.append((name, told.at, members))
        return found

    def open(self) -> list[str]:
        """Names of the orders nothing was heard of yet."""
        heard = {name for name, _, _ in self.seen()}
        return [order.name for order in self.all if order.name not in heard]

    def ended(self, names: list[str]) -> list[str]:
        """Those of the orders whose generations have all ended, as ``mulequeue status`` tells."""
        return [
            order.name
            for order in self.all
            if order.name in names
            and all(
                record is not None and record.state == "delivered"
                for record in self._fleet.ledger.queries.records(list(order.prompts))
            )
        ]

    def send_open_again(self) -> list[str]:
        """Send what came to no end once more; the names."""
        names = self.open()
        for order in self.all:
            if order.name in names:
                self.send_one(order)
        return names
