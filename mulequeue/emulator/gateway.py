"""The API: create, poll and delete, with checks in the same order as the real gateway."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

from aiohttp.web import BaseRequest, Response, StreamResponse

from mulequeue.catalog import Model
from mulequeue.emulator import response_bodies
from mulequeue.emulator.faults import Burst
from mulequeue.emulator.faulty_body import send_with_fault
from mulequeue.emulator.generation import Generation
from mulequeue.emulator.http_responses import (
    burst_reply,
    compress,
    cut,
    edge_block,
    json_reply,
    problem_reply,
    redirect_reply,
    text_reply,
    unknown_route,
)
from mulequeue.emulator.media import Media
from mulequeue.emulator.quirks import extras, is_speech, models_by_path, prompt_of, speech_extras
from mulequeue.emulator.request_validation import validate_body
from mulequeue.emulator.state import State
from mulequeue.emulator.webhook_sender import WebhookSender

# The edge was observed to block this user agent, with 403 and its error code 1010 as text.
_BLOCKED_USER_AGENT = "Python-urllib"
KEY_PREFIXES = {"mulerouter": "sk-mr-", "mulerun": "muk-"}


class Api:
    """Handler of everything under ``/vendors``."""

    def __init__(self, state: State, media: Media) -> None:
        self.state = state
        self.media = media
        self.models = models_by_path()
        self.webhooks = WebhookSender(state, self._webhook_payload)

    async def handle(self, request: BaseRequest) -> StreamResponse:
        """Answer one request."""
        reply = await self._answer(request)
        if self.state.faults.gzip != "never":
            compress(request, reply, self.state.faults.gzip)
        return reply

    async def _answer(self, request: BaseRequest) -> StreamResponse:
        if request.headers.get("User-Agent", "").startswith(_BLOCKED_USER_AGENT):
            return edge_block()
        path = request.path
        model = self.models.get(path)
        if model is not None:
            if request.method != "POST":
                return problem_reply(request, 405)
            return await self._create(request, model)
        prefix, _, remote_id = path.rpartition("/")
        model = self.models.get(prefix)
        if model is None:
            return unknown_route()
        if request.method == "GET":
            return await self._poll(request, model, remote_id)
        if request.method == "DELETE":
            return self._delete(request, model, remote_id)
        return problem_reply(request, 405)

    async def _create(self, request: BaseRequest, model: Model) -> StreamResponse:
        self.state.counters.add("creates")
        arrived = self.state.clock()
        body = _parse_json(await request.read())
        prompt = prompt_of(body)
        burst = self.state.faults.take("creates", prompt, edge=True)
        refusal = _edge(request, burst) or self._invalid(request, model, body)
        refusal = refusal or self._unauthorized(request)
        if refusal is None:
            burst = self.state.faults.take("creates", prompt, edge=False)
            refusal = await self._apply_burst(request, burst, "creates")
        if refusal is not None:
            self.state.counters.add("refused")
            self.state.record_create(model.api_path, body, None, arrived)
            return refusal
        generation = self.state.store(model, body)
        self.state.record_create(model.api_path, body, generation, arrived)
        self.webhooks.created(generation)
        return await self._accept(request, generation, burst)

    async def _accept(
        self, request: BaseRequest, generation: Generation, burst: Burst | None
    ) -> StreamResponse:
        faults = self.state.faults
        status = faults.create_http_status
        do = burst.do if burst else None
        if do == "hold_after":
            await self.state.hold("creates")
        if do == "drop_after":
            return cut(request)
        if do == "not_json":
            return text_reply("<html>accepted</html>", status)
        now = self.state.clock()
        if generation.life.at_create:
            body = await self._polled(generation, now, _host(request))
        else:
            body = response_bodies.created(generation, generation.created, faults)
        if do == "no_id":
            body["task_info"].pop(faults.create_id_field, None)
        return await send_with_fault(request, json_reply(body, status), burst)

    async def _poll(self, request: BaseRequest, model: Model, remote_id: str) -> StreamResponse:
        state = self.state
        state.counters.add("polls")
        generation = state.generations.get(remote_id)
        prompt = generation.prompt if generation else ""
        if state.faults.polls:
            refusal = _edge(request, state.faults.take("polls", prompt, edge=True))
            if refusal is not None:
                return refusal
        burst = None
        refusal = self._unauthorized(request)
        if refusal is None and state.faults.polls:
            burst = state.faults.take("polls", prompt, edge=False)
            refusal = await self._apply_burst(request, burst, "polls")
        if refusal is not None:
            return refusal
        if generation is not None and generation.model is model:
            generation.count_poll(state.clock())
            self.webhooks.check_end(generation)
        missing = self._missing(request, model, remote_id)
        if missing is not None:
            return missing
        assert generation is not None
        now = state.clock()
        if generation.is_over(now):
            state.counters.add("ends")
        reply = json_reply(await self._polled(generation, now, _host(request)))
        return await send_with_fault(request, reply, burst)

    async def _webhook_payload(self, generation: Generation, now: float) -> dict[str, Any]:
        """Return the payload of a webhook: the response to a poll by a client that reached 127.0.0.1."""
        return await self._polled(generation, now, "127.0.0.1")

    async def _polled(self, generation: Generation, now: float, host: str) -> dict[str, Any]:
        answer = response_bodies.polled(generation, now, self.state.faults)
        if generation.phase(now) != "completed":
            return answer
        model, body = generation.model, generation.body
        if generation.life.end == "missing":
            return answer
        if generation.life.end == "empty":
            return response_bodies.with_assets(answer, generation.kind, [])
        urls = self.state.assets(generation, now, host)
        if not is_speech(model):
            answer = response_bodies.with_assets(answer, generation.kind, urls)
            return {**answer, **extras(model, body)}
        audio = (await self.media.render(generation, 0)).data
        # Audio is returned as hex digits, unless the top level of the body requests URLs.
        is_url = body.get("output_format") == "url"
        assets = urls if is_url else [audio.hex()]
        answer = response_bodies.with_assets(answer, generation.kind, assets)
        return {**answer, **speech_extras(body, len(audio))}

    def _delete(self, request: BaseRequest, model: Model, remote_id: str) -> Response:
        refusal = self._unauthorized(request) or self._missing(request, model, remote_id)
        if refusal is not None:
            return refusal
        now = self.state.clock()
        generation = self.state.generations[remote_id]
        if generation.phase(now) in ("processing", "retrying"):
            # The documentation says that this is rejected, but not with which status.
            return problem_reply(request, 409, detail="The task is still being processed")
        generation.is_deleted = True
        at = response_bodies.timestamp(now, self.state.faults)
        return json_reply({"task_id": remote_id, "deleted_at": at})

    def _invalid(self, request: BaseRequest, model: Model, body: Any) -> Response | None:
        wrong = validate_body(model, body, self.state.faults.unknown_fields)
        if wrong is None:
            return None
        refusal = response_bodies.problem(400, request.path, detail=wrong)
        if self.state.faults.post_error == "envelope":
            args = (str(uuid.uuid4()), self.state.clock(), refusal, self.state.faults)
            return json_reply(response_bodies.refused_envelope(*args), 400)
        return json_reply(refusal, 400)

    def _unauthorized(self, request: BaseRequest) -> Response | None:
        given = request.headers.get("Authorization")
        required = self.state.faults.require_key
        if not given:
            title = "Missing Authorization header"
        elif not given.startswith("Bearer ") or not given[7:].strip():
            title = "Invalid Authorization header format"
        elif required is not None and given[7:] != required:
            title = "Invalid or revoked API key"
        elif self.state.faults.site is not None:
            return _check_site(request, given[7:], self.state.faults.site)
        else:
            return None
        return problem_reply(request, 401, title=title)

    def _missing(self, request: BaseRequest, model: Model, remote_id: str) -> Response | None:
        generation = self.state.generations.get(remote_id)
        if generation is None or not generation.is_visible(self.state.clock()):
            detail = f"Task with ID {remote_id} does not exist"
            return problem_reply(request, 404, title="Task not found", detail=detail)
        if generation.model is not model:
            detail = f"Task {remote_id} belongs to another endpoint"
            return problem_reply(request, 400, title="Task type mismatch", detail=detail)
        return None

    async def _apply_burst(
        self, request: BaseRequest, burst: Burst | None, kind: str
    ) -> Response | None:
        """Apply a burst. Return the response that replaces the normal one, or None if there is none."""
        if burst is None:
            return None
        if burst.do == "hold":
            await self.state.hold(kind)
        elif burst.do == "slow":
            await asyncio.sleep(burst.seconds)
        elif burst.do == "status":
            return burst_reply(request, burst)
        elif burst.do == "redirect":
            return redirect_reply(request, burst)
        elif burst.do == "not_json" and kind == "polls":
            return text_reply("<html>one moment</html>")
        return None


def _edge(request: BaseRequest, burst: Burst | None) -> Response | None:
    if burst is None:
        return None
    return cut(request) if burst.do == "drop" else edge_block()


def _check_site(request: BaseRequest, key: str, site: str) -> Response | None:
    if key.startswith(KEY_PREFIXES[site]):
        return None
    if site == "mulerouter":
        return problem_reply(request, 401, title="Invalid or revoked API key")
    # As captured: code 0, and the word None as the reason.
    detail = f"None (request_id: {uuid.uuid4()})"
    return problem_reply(request, 401, title="Invalid API Key format", detail=detail, code=0)


def _host(request: BaseRequest) -> str:
    """Return the host under which the client reached the emulator."""
    return request.url.host or ""


def _parse_json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None
