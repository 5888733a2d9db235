"""Celery's task events, captured as Flower does it."""

from __future__ import annotations

import threading
from typing import Any, Self

from support.fleet import Fleet
from support.waiting import wait_until


class Events:
    """Captures every event while the block runs."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._seen: list[dict[str, Any]] = []
        self._thread = threading.Thread(target=self._capture, daemon=True)
        self._receiver: Any = None

    def _capture(self) -> None:
        with self._fleet.app.connection_for_read() as connection:
            self._receiver = self._fleet.app.events.Receiver(
                connection, handlers={"*": self._seen.append}
            )
            self._receiver.capture(limit=None, timeout=None, wakeup=False)

    def of(self, task_id: str) -> list[dict[str, Any]]:
        """The events of one task, in order."""
        return [event for event in list(self._seen) if event.get("uuid") == task_id]

    def types_of(self, task_id: str) -> list[str]:
        return [event["type"] for event in self.of(task_id)]

    def wait_for(self, task_id: str, kind: str, *, times: int = 1) -> list[dict[str, Any]]:
        """The events of one task, once ``kind`` came that often."""
        wait_until(
            lambda: self.types_of(task_id).count(kind) >= times,
            what=f"{times} {kind} of {task_id}",
        )
        return self.of(task_id)

    def __enter__(self) -> Self:
        self._thread.start()

        def heard() -> bool:
            # The subscription has no confirmation: ask for something to hear.
            probe = self._fleet.task("user.noop").delay()
            probe.get(timeout=30)
            return bool(self.of(probe.id))

        wait_until(heard, what="the first event")
        return self

    def __exit__(self, *_: object) -> None:
        self._receiver.should_stop = True
        # Whatever comes next ends the capture.
        self._fleet.task("user.noop").delay().get(timeout=30)
        self._thread.join(10)
