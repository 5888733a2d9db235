"""The control routes under ``/_emulator/``, for tests and tools.

==========================  ===============================================================
``GET stats``               the counters of :mod:`mulequeue.emulator.stats`
``GET wait?polls=9&…``      wait until each named counter has reached its value, then return all
                            counters; 408 after ``timeout`` seconds (default 30)
``GET creates``             the received creates: ``[{path, body, remote_id, at}]``; ``at`` is the
                            time of arrival in unix seconds
``GET generations``         ``[{remote_id, api_path, status, prompt, polls, created, polled, ended}]``;
                            the last three are unix seconds: of the create, of each poll, and of the
                            end (null while it runs)
``GET faults``              the active faults, with the remaining counts
``POST faults``             set faults (:mod:`mulequeue.emulator.faults`); 400 lists the known keys
``DELETE faults``           reset all faults and release all held requests
``POST release``            release held requests: ``{"kind": "creates", "count": 1}`` or ``{}``
``POST finish``             end a generation now: ``{"remote_id": …}``
``GET webhooks``            ``{endpoints, deliveries}``
``POST webhooks``           add an endpoint (:mod:`mulequeue.emulator.webhook_endpoints`) and return
                            it with its secret
``DELETE webhooks``         remove all endpoints
``POST send``               send a webhook: ``{"type": "balance.low", "data": {…}}``
``POST reset``              delete generations, creates and webhook deliveries; reset counters and
                            faults
==========================  ===============================================================
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from aiohttp.web import BaseRequest, Response

from mulequeue.emulator.http_responses import json_reply
from mulequeue.emulator.state import State
from mulequeue.emulator.webhook_endpoints import EVENTS
from mulequeue.emulator.webhook_sender import LOW_BALANCE, WebhookSender

PREFIX = "/_emulator/"


class Control:
    """Handler of everything under ``/_emulator/``."""

    def __init__(self, state: State, webhooks: WebhookSender) -> None:
        self.state = state
        self.webhooks = webhooks
        self._routes: dict[tuple[str, str], Callable[[BaseRequest], Awaitable[Response]]] = {
            ("GET", "stats"): self._stats,
            ("GET", "wait"): self._wait,
            ("GET", "creates"): self._creates,
            ("GET", "generations"): self._generations,
            ("GET", "faults"): self._faults,
            ("POST", "faults"): self._set_faults,
            ("DELETE", "faults"): self._reset_faults,
            ("POST", "release"): self._release,
            ("POST", "finish"): self._finish,
            ("GET", "webhooks"): self._webhooks,
            ("POST", "webhooks"): self._add_webhook,
            ("DELETE", "webhooks"): self._delete_webhooks,
            ("POST", "send"): self._send,
            ("POST", "reset"): self._reset,
        }

    async def handle(self, request: BaseRequest) -> Response:
        """Answer one request: an unknown route with 404, an invalid request with 400 and the reason."""
        route = self._routes.get((request.method, request.path.removeprefix(PREFIX)))
        if route is None:
            known = ", ".join(f"{method} {PREFIX}{name}" for method, name in self._routes)
            return json_reply({"error": f"No such route. Known: {known}."}, 404)
        try:
            return await route(request)
        except ValueError as exc:
            return json_reply({"error": str(exc)}, 400)

    async def _stats(self, _: BaseRequest) -> Response:
        return json_reply(self.state.counters.values)

    async def _wait(self, request: BaseRequest) -> Response:
        query = dict(request.query)
        timeout_seconds = float(query.pop("timeout", "30"))
        targets = {name: int(value) for name, value in query.items()}
        reached = await self.state.counters.wait_for(targets, timeout_seconds)
        return json_reply(self.state.counters.values, 200 if reached else 408)

    async def _creates(self, _: BaseRequest) -> Response:
        return json_reply(self.state.creates)

    async def _generations(self, _: BaseRequest) -> Response:
        now = self.state.clock()
        return json_reply(
            [
                {
                    "remote_id": generation.remote_id,
                    "api_path": generation.model.api_path,
                    "status": generation.phase(now),
                    "prompt": generation.prompt,
                    "polls": generation.polls,
                    "created": generation.created,
                    "polled": list(generation.polled),
                    "ended": generation.ended if generation.is_over(now) else None,
                }
                for generation in self.state.generations.values()
            ]
        )

    async def _faults(self, _: BaseRequest) -> Response:
        return json_reply(self.state.faults.to_dict())

    async def _set_faults(self, request: BaseRequest) -> Response:
        self.state.faults = self.state.faults.updated(await _object(request))
        return await self._faults(request)

    async def _reset_faults(self, request: BaseRequest) -> Response:
        self.state.reset_faults()
        return await self._faults(request)

    async def _release(self, request: BaseRequest) -> Response:
        asked = await _object(request, "kind", "count")
        kind, count = asked.get("kind"), asked.get("count")
        if kind not in (None, "creates", "polls", "downloads"):
            raise ValueError(f"kind must be one of creates, polls, downloads, not {kind!r}.")
        if count is not None and not isinstance(count, int):
            raise ValueError(f"count must be a whole number, not {count!r}")
        return json_reply({"released": self.state.release(kind, count)})

    async def _finish(self, request: BaseRequest) -> Response:
        remote_id = (await _object(request, "remote_id")).get("remote_id")
        generation = self.state.generations.get(remote_id or "")
        if generation is None:
            raise ValueError(f"No generation {remote_id!r}. GET {PREFIX}generations lists all.")
        generation.finish(self.state.clock())
        self.webhooks.check_end(generation)
        return json_reply({"remote_id": remote_id})

    async def _webhooks(self, _: BaseRequest) -> Response:
        return json_reply(self.webhooks.listed())

    async def _add_webhook(self, request: BaseRequest) -> Response:
        faults = self.state.faults
        known = [asdict(endpoint) for endpoint in faults.webhooks]
        self.state.faults = faults.updated({"webhooks": [*known, await _object(request)]})
        return json_reply(asdict(self.state.faults.webhooks[-1]))

    async def _delete_webhooks(self, _: BaseRequest) -> Response:
        self.state.faults = self.state.faults.updated({"webhooks": []})
        return json_reply({})

    async def _send(self, request: BaseRequest) -> Response:
        asked = await _object(request, "type", "data")
        event = asked.get("type", "balance.low")
        if event not in EVENTS:
            raise ValueError(f"type must be one of {', '.join(EVENTS)}, not {event!r}.")
        return json_reply({"id": self.webhooks.send(event, asked.get("data", LOW_BALANCE))})

    async def _reset(self, _: BaseRequest) -> Response:
        self.state.clear()
        self.webhooks.clear()
        return json_reply({})


async def _object(request: BaseRequest, *known: str) -> dict[str, Any]:
    """Return the JSON object in the request's body; an empty body is an empty object.

    :param known: the allowed keys; none given: any key is allowed.
    """
    raw = await request.read()
    data = json.loads(raw) if raw else {}
    if not isinstance(data, dict):
        raise ValueError("The body must be a JSON object")
    for key in data:
        if known and key not in known:
            raise ValueError(f"No key {key!r}. Known: {', '.join(known)}.")
    return data
