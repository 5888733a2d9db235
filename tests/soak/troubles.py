"""What happens to the fleet while it works: one seeded choice after another."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import json
import random
import signal
import time
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import psutil
import redis
from support.deaths import freeze, thaw
from support.fleet import Fleet
from support.queues import creates_of
from support.webhook_server import WebhookServer
from support.workers import WorkerProcess

from soak.orders import PLAIN, UNSURE, Orders

WORKERS = 3
FOLLOWERS = ("mulequeue.download", "mulequeue.notify", "mulequeue.generate_from")
Action = Callable[[], Any]


class Troubles:
    """Makes trouble, and puts right later what does not mend by itself.

    :param broker: has ``kill`` and ``start``, and a Redis has ``client``; None when the ledger's Redis is
        the broker.
    """

    def __init__(
        self,
        fleet: Fleet,
        orders: Orders,
        webhooks: WebhookServer,
        chance: random.Random,
        broker: Any = None,
    ) -> None:
        self._fleet, self._orders, self._webhooks = fleet, orders, webhooks
        self._chance, self._broker = chance, broker
        self._queues = fleet.redis.client if broker is None else getattr(broker, "client", None)
        self._later: list[tuple[float, int, Action]] = []
        self._numbers = itertools.count()
        self._sick: set[WorkerProcess] = set()
        self._is_down: set[str] = set()
        self._orphans: list[psutil.Process] = []
        self.made: Counter[str] = Counter()
        self._kinds: list[Action] = [
            self.kill_a_worker,
            self.kill_a_worker,
            self.kill_a_main_process,
            self.kill_a_pool_child,
            self.kill_a_pool_child,
            self.pause_a_worker,
            self.pause_a_worker,
            self.restart_redis,
            self.too_many_creates,
            self.too_many_creates,
            self.lose_create_answers,
            self.lose_create_answers,
            self.odd_create_answers,
            self.break_polls,
            self.break_polls,
            self.api_outage,
            self.break_downloads,
            self.break_downloads,
            self.send_again,
            self.silence_webhooks,
        ]
        if broker is not None:
            self._kinds.append(self.restart_the_broker)
        if self._queues is not None:
            self._kinds += [self.deliver_again] * 2 + [self.lose_what_follows] * 3

    # -- when ------------------------------------------------------------------------------

    def make_one(self) -> None:
        """The next trouble."""
        self.replace_ended()
        kind = self._chance.choice(self._kinds)
        self.made[kind.__name__] += 1
        kind()

    def put_right(self, *, everything: bool = False) -> None:
        """Do what is due by now, or all of it."""
        while self._later and (everything or self._later[0][0] <= time.monotonic()):
            heapq.heappop(self._later)[2]()

    def _in(self, seconds: float, action: Action) -> None:
        entry = (time.monotonic() + seconds, next(self._numbers), action)
        heapq.heappush(self._later, entry)

    def quiet(self) -> None:
        """No troubles any more: everything runs, the API has a good day."""
        self.put_right(everything=True)
        self._fleet.emulator.faults(creates=[], polls=[], downloads=[])
        self.replace_ended()

    def replace_ended(self) -> None:
        """Start another worker for each that ended although nobody had killed it."""
        for worker in list(self._fleet.workers):
            if worker not in self._sick and worker.has_ended:
                self._sick.add(worker)
                self.made["workers that ended by themselves"] += 1
                self.start_a_worker()

    def stop(self) -> None:
        """End orphans that did not end by themselves."""
        for orphan in self._orphans:
            with contextlib.suppress(psutil.Error):
                orphan.kill()

    # -- processes -------------------------------------------------------------------------

    def start_a_worker(self) -> None:
        options = ("-I", "soak.tasks", "-c", "3")
        self._fleet.worker(*options, wait=False)

    def _a_worker(self) -> WorkerProcess | None:
        well = [worker for worker in self._fleet.workers if worker not in self._sick]
        return self._chance.choice(well) if well else None

    def _replace(self, worker: WorkerProcess) -> None:
        self._sick.add(worker)
        self._in(self._chance.uniform(0, 6), self.start_a_worker)

    def kill_a_worker(self) -> None:
        if worker := self._a_worker():
            worker.kill()
            self._replace(worker)

    def kill_a_main_process(self) -> None:
        """Its pool lives on as orphans."""
        if worker := self._a_worker():
            with contextlib.suppress(psutil.Error):
                self._orphans += worker.children()
            worker.signal(signal.SIGKILL)
            self._replace(worker)

    def kill_a_pool_child(self) -> None:
        if worker := self._a_worker():
            with contextlib.suppress(Exception):  # it may be starting, or just be restarted
                self._chance.choice(worker.children()).kill()

    def pause_a_worker(self) -> None:
        """Sometimes for longer than every lease there is."""
        if worker := self._a_worker():
            self._sick.add(worker)
            freeze(worker)
            self._in(self._chance.choice([2, 6, 12, 25]), lambda: self._go_on(worker))

    def _go_on(self, worker: WorkerProcess) -> None:
        thaw(worker)
        self._sick.discard(worker)

    def restart_redis(self) -> None:
        self._restart("redis", self._fleet.redis, self._chance.choice([0.0, 1.0, 4.0]))

    def restart_the_broker(self) -> None:
        self._restart("broker", self._broker, self._chance.choice([0.0, 3.0]))

    def _restart(self, name: str, server: Any, seconds: float) -> None:
        if name in self._is_down:
            return
        self._is_down.add(name)
        server.kill()

        def start() -> None:
            server.start()
            self._is_down.discard(name)

        self._in(seconds, start)

    def silence_webhooks(self) -> None:
        self._webhooks.pause()
        self._in(self._chance.choice([2, 15]), self._webhooks.resume)

    # -- the API ---------------------------------------------------------------------------

    def _for_a_while(self, kind: str, burst: dict[str, Any]) -> None:
        """Until it is used up, and some seconds at most: paused, a fleet sends one probe at a time."""
        self._fleet.emulator.faults(**{kind: [burst]})
        seconds = self._chance.uniform(3, 12)
        self._in(seconds, lambda: self._fleet.emulator.faults(**{kind: []}))

    def too_many_creates(self) -> None:
        after = self._chance.choice([None, "1", "2"])
        count = self._chance.randint(2, 12)
        burst = {"do": "status", "status": 429, "retry_after": after, "count": count}
        self._for_a_while("creates", {**burst, "contains": PLAIN})

    def lose_create_answers(self) -> None:
        do = self._chance.choice(["drop", "drop_after", "slow", "no_id", "not_json", "status"])
        burst = {"do": do, "status": self._chance.choice([500, 502, 503, 504]), "count": 4}
        self._for_a_while("creates", {**burst, "seconds": 4.0, "contains": UNSURE})

    def odd_create_answers(self) -> None:
        """The whole answer arrives, slowly or followed by bytes without an end: it is accepted."""
        do = self._chance.choice(["slow_body", "endless"])
        self._for_a_while("creates", {"do": do, "count": 4, "seconds": 2.0, "contains": PLAIN})

    def break_polls(self) -> None:
        status = self._chance.choice([401, 404, 408, 425, 429, 500, 502, 503])
        odd = ["edge_block", "not_json", "slow", "slow_body", "endless"]
        do = self._chance.choice(["status", "status", "drop", *odd])
        burst = {"do": do, "status": status, "count": self._chance.randint(2, 20)}
        self._for_a_while("polls", {**burst, "seconds": 5.0})

    def api_outage(self) -> None:
        """Everything answers 503; a create was not made then (Retry-After says so)."""
        down = {"do": "status", "status": 503}
        creates = [{**down, "retry_after": "2", "contains": PLAIN}]
        self._fleet.emulator.faults(creates=creates, polls=[down], downloads=[down])
        good = {"creates": [], "polls": [], "downloads": []}
        self._in(self._chance.choice([3, 10]), lambda: self._fleet.emulator.faults(**good))

    def break_downloads(self) -> None:
        do = self._chance.choice(["truncate", "drop", "html", "slow", "status", "no_content_type"])
        burst = {"do": do, "status": 500, "count": self._chance.randint(2, 6), "seconds": 4.0}
        self._fleet.emulator.faults(downloads=[burst])

    # -- messages --------------------------------------------------------------------------

    def send_again(self) -> None:
        """A user enqueues the same ids once more."""
        recent = [order for order in self._orders.all[-20:] if order.sent]
        if recent:
            with contextlib.suppress(Exception):  # the broker may be away
                self._chance.choice(recent).signature.clone().apply_async()

    def deliver_again(self) -> None:
        """Messages under way are delivered a second time, as a broker may do."""
        with contextlib.suppress(redis.RedisError):
            copies = self._messages()
            for text in self._chance.sample(copies, min(5, len(copies))):
                message = json.loads(text)
                message["properties"]["delivery_tag"] = str(uuid.uuid4())
                queue = message["properties"]["delivery_info"]["routing_key"]
                self._queues.lpush(queue, json.dumps(message))
                self.made["messages delivered twice"] += 1

    def lose_what_follows(self) -> None:
        """A message behind a generation is taken from its queue by somebody who is killed at once."""
        client = self._queues
        for _ in range(8):
            with contextlib.suppress(redis.RedisError):
                taken = client.brpop("celery", timeout=0.5)
                if taken is None:
                    return
                if json.loads(taken[1])["headers"]["task"] in FOLLOWERS:
                    self.made["messages lost behind a generation"] += 1
                    return
                client.rpush("celery", taken[1])

    def _messages(self) -> list[str]:
        client = self._queues
        found = [json.loads(held)[0] for held in client.hvals("unacked")]
        for queue in ("celery", creates_of("celery"), "mulequeue.wake", "mulequeue.poll"):
            found += [json.loads(text) for text in client.lrange(queue, 0, 20)]
        ours = [m for m in found if str(m["headers"].get("task")).startswith("mulequeue.")]
        return [json.dumps(message) for message in ours]
