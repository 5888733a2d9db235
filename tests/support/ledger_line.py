"""Generations that wait in line, and an API that answers their creates as a test wants."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from mulequeue.ledger import Intent, Scope, Wake
from support.ledger_world import World, marker_of

PATH = "alibaba/v1/wan2.6-t2i/generation"
VEO = "google/v1/veo-3.1-fast/generation"
KLING = "klingai/v1/kling-v3/text-to-video/generation"


class Line:
    """The workers of a fleet, one message at a time; time passes only while nothing is due.

    :param answer: of the API to the create of a task: ``accepted``, ``refused`` (429), ``rejected`` (400),
        ``unknown`` (502), ``bad key`` (401), ``no connection`` or ``too late``.
    """

    def __init__(self, world: World, answer: Callable[[str], str], **intent: Any) -> None:
        self.world, self.answer = world, answer
        self.intent = intent
        self.creates: list[tuple[float, str, str]] = []
        """Time, task and answer of each create, in their order."""
        self._count = 0

    def enqueue(self, names: Iterable[str], path: str = PATH, batch: str | None = None) -> None:
        """New tasks come, one after the other."""
        names = list(names)
        given = {"batch_id": batch, "batch_size": len(names)} if batch else {}
        for name in names:
            self.world.clock += 0.001
            self._deliver(self.world.intent(name, path=path, **given, **self.intent))

    def run(self, seconds: float) -> None:
        """Let so many seconds pass, and do what becomes due."""
        ends = self.world.clock + seconds
        while True:
            head = self.world.ledger.queries.overdue()[1]
            if head is None or head > ends:
                break
            self.world.clock = max(self.world.clock, head)
            claim = self.world.claim()
            for due in claim.polls:
                self._settle(due.task_id)
            for wake in claim.wakes:
                self._wake(wake)
        self.world.clock = ends

    def created(self) -> list[str]:
        """The tasks that the API accepted."""
        return [task for _, task, answer in self.creates if answer == "accepted"]

    def answers(self, *tasks: str) -> list[str]:
        """The answers to the creates of these tasks, in order."""
        return [answer for _, task, answer in self.creates if task in tasks]

    def _wake(self, wake: Wake) -> None:
        marker, record = marker_of(wake), self.world.fields(f"record:{wake.task_id}")
        path = record["path"]
        self._deliver(self.world.intent(wake.task_id, marker=marker, path=path, **self.intent))

    def _deliver(self, intent: Intent) -> None:
        action = self.world.ask(intent).action
        if action == "deliver":
            self.world.ledger.generations.end_delivery(
                intent.task_id, intent.epoch, ttl_seconds=100
            )
        if action == "submit":
            self._create(intent)

    def _create(self, intent: Intent) -> None:
        answer = self.answer(intent.task_id)
        self.creates.append((self.world.clock, intent.task_id, answer))
        settle = self.world.ledger.generations.settle_submit
        scopes = {"refused": Scope.MODEL, "bad key": Scope.KEY, "no connection": Scope.WORKER}
        if answer == "accepted":
            self._count += 1
            self.world.record_id(intent, f"remote-{self._count}")
        elif answer == "rejected":
            settle(intent, "failed", {"error": {"title": "bad"}}, is_answered=True)
        elif answer == "unknown":
            settle(intent, "submit_unknown", {"error": {"title": "502"}})
        elif answer == "too late":
            self.world.ledger.generations.requeue(intent)
        else:
            self.world.requeue(intent, scope=scopes[answer])

    def _settle(self, task_id: str) -> None:
        (wake,) = self.world.ledger.generations.settle(task_id, None, "succeeded", {}).wakes
        self._wake(wake)
