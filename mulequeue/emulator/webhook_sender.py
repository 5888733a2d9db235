"""Send the API's webhooks: for the creation and for the end of each generation."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass, field
from typing import Any

import aiohttp

from mulequeue.emulator.generation import Generation
from mulequeue.emulator.response_bodies import initial_answer, timestamp
from mulequeue.emulator.state import State
from mulequeue.emulator.webhook_endpoints import Endpoint, Event

_TIMEOUT = aiohttp.ClientTimeout(total=10)
Payload = Callable[[Generation, float], Coroutine[Any, Any, Any]]
MAX_DELIVERIES_LISTED = 10_000
# This payload was never captured; the threshold is the console's default.
LOW_BALANCE = {"state": "ALERTED", "threshold_usd": 10, "available_balance_usd": 9.5}


@dataclass(slots=True, kw_only=True)
class Delivery:
    """The delivery of one event to one endpoint."""

    delivery_id: str
    """``X-MuleRouter-Webhook-Id``: different for each event and endpoint."""
    event_id: str
    """``id`` in the body: the same at each endpoint."""
    type: str
    url: str
    answers: list[int | str] = field(default_factory=list)
    """The HTTP status of each attempt, or the name of the error if there was no response."""


class WebhookSender:
    """Sends webhooks on the emulator's event loop.

    :param payload: returns the response to a poll of a generation at a time in unix seconds.
    """

    def __init__(self, state: State, payload: Payload) -> None:
        self.state = state
        self.deliveries: list[Delivery] = []
        self._payload = payload
        self._ends_sent: set[str] = set()
        self._withheld: dict[tuple[str, str], Callable[[], None]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    def created(self, generation: Generation) -> None:
        """Send ``task.created`` for a stored generation, and schedule the event of its end."""
        if self.state.faults.webhooks:
            self._start(self._send_event(generation, "task.created"))
            self.check_end(generation)

    def check_end(self, generation: Generation) -> None:
        """Send the event of the generation's end, once; before the end, schedule this check again."""
        name = generation.remote_id
        is_known = self.state.generations.get(name) is generation
        if not self.state.faults.webhooks or name in self._ends_sent or not is_known:
            return
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()
        left = generation.ended - self.state.clock()
        if left <= 0:
            self._ends_sent.add(name)
            failed = generation.life.end == "failed"
            event: Event = "task.failed" if failed else "task.succeeded"
            self._start(self._send_event(generation, event))
        elif left < 10**9:  # else infinite: the poll that ends the generation calls this again
            loop = asyncio.get_running_loop()
            self._timers[name] = loop.call_later(left, self.check_end, generation)

    def send(self, event: Event, data: Any) -> str:
        """Send an event to all endpoints and return its id."""
        return self._publish(event, data, self.state.clock(), None)

    def clear(self) -> None:
        """Cancel all deliveries in progress and delete the list of deliveries."""
        for timer in self._timers.values():
            timer.cancel()
        for task in self._tasks:
            task.cancel()
        for memory in (self._timers, self._withheld, self._ends_sent, self.deliveries):
            memory.clear()

    async def close(self) -> None:
        """Cancel all deliveries, and close the HTTP session."""
        self.clear()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _send_event(self, generation: Generation, event: Event) -> None:
        now = self.state.clock()
        if event == "task.created":
            payload = initial_answer(generation, self.state.faults)
        else:
            payload = await self._payload(generation, now)
        vendor, _, model = generation.model.api_path.removeprefix("/vendors/").split("/")[:3]
        data = {"vendor": vendor, "model_name": model, "payload": payload}
        self._publish(event, data, now, generation)

    def _publish(self, event: Event, data: Any, now: float, generation: Generation | None) -> str:
        event_id = f"evt_{uuid.uuid4().hex}"
        created_at = timestamp(now, self.state.faults)
        payload = {"id": event_id, "type": event, "created_at": created_at, "data": data}
        body = json.dumps(payload).encode()
        for endpoint in self.state.faults.webhooks:
            if event in endpoint.events:
                delivery = Delivery(
                    delivery_id=f"whd_{uuid.uuid4().hex}",
                    event_id=event_id,
                    type=event,
                    url=endpoint.url,
                )
                self._queue(endpoint, delivery, body, generation)
        return event_id

    def _queue(
        self, endpoint: Endpoint, delivery: Delivery, body: bytes, generation: Generation | None
    ) -> None:
        key = (generation.remote_id if generation else "", endpoint.url)
        if endpoint.reorder and generation and delivery.type == "task.created":
            self._withheld[key] = lambda: self._start(self._deliver(endpoint, delivery, body))
            return
        self._start(self._deliver(endpoint, delivery, body, then=self._withheld.pop(key, None)))

    async def _deliver(
        self,
        endpoint: Endpoint,
        delivery: Delivery,
        body: bytes,
        then: Callable[[], None] | None = None,
    ) -> None:
        del self.deliveries[:-MAX_DELIVERIES_LISTED]
        self.deliveries.append(delivery)
        await asyncio.sleep(endpoint.delay_seconds)
        for _ in range(endpoint.copies):
            for attempt in range(endpoint.attempts):
                await asyncio.sleep(endpoint.retry_seconds if attempt else 0)
                if await self._attempt(endpoint, delivery, body):
                    break
        if then is not None:
            then()

    async def _attempt(self, endpoint: Endpoint, delivery: Delivery, body: bytes) -> bool:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT)
        headers = endpoint.headers(delivery.delivery_id, self.state.clock(), body)
        post = self._session.post(endpoint.url, data=body, headers=headers, allow_redirects=False)
        try:
            async with post as response:
                answer: int | str = response.status
        except (aiohttp.ClientError, TimeoutError) as exc:
            answer = type(exc).__name__
        delivery.answers.append(answer)
        is_accepted = isinstance(answer, int) and 200 <= answer < 300
        self.state.counters.add("webhook_attempts")
        if is_accepted:
            self.state.counters.add("webhooks")
        return is_accepted

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def listed(self) -> dict[str, Any]:
        """Return ``{endpoints, deliveries}`` as JSON data."""
        return {
            "endpoints": [asdict(endpoint) for endpoint in self.state.faults.webhooks],
            "deliveries": [asdict(delivery) for delivery in self.deliveries],
        }
