"""Handle MuleRouter's webhooks: verify, settle, wake. Status checks remain as the fallback.

Independent of web frameworks: a view passes the headers and the raw body, and sends the reply::

    reply = webhook_handler.handle(request.headers, request.body)
    return Response(reply.text, status=reply.status_code)

The handler never calls the API. An event that arrives before the id of its generation is recorded is kept
for an hour. A repeated event changes nothing, nor does one that arrives after a status check found the end.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisError

from mulequeue import catalog
from mulequeue.api import parsing
from mulequeue.api.terminal_answer import answer_of, reported_duration
from mulequeue.api.webhook_signature import SignatureError, check_signature
from mulequeue.engine import tracing
from mulequeue.engine.worker_context import WorkerContext, worker_context
from mulequeue.ledger import Effects, EventResult
from mulequeue.signals import balance_low

__all__ = ["MAX_BODY_BYTES", "Reply", "handle", "settle_early"]

logger = logging.getLogger("mulequeue")

MAX_BODY_BYTES = 1024**2
_MAX_ID_CHARACTERS = 200
_CONSUMED = (
    "the body is incomplete: code that runs before this view has read the request's stream; there, use "
    "the call that keeps the body (request.body in Django, request.get_data() in Flask)"
)


@dataclass(frozen=True, slots=True)
class Reply:
    """The response of the view."""

    status_code: int
    """200: accepted, or seen before. 4xx: rejected, nothing changed. 5xx: the API sends it again."""
    text: str


class Refused(Exception):
    """Raised with the status and the text of the reply to a request that is not accepted."""


def handle(
    headers: Mapping[str, str], body: bytes, *, app: Any = None, now: float | None = None
) -> Reply:
    """Handle one webhook, and return the reply. Invalid content leads to a reply, not to an exception.

    :param headers: of the request.
    :param body: the raw bytes; a view need not read more than ``MAX_BODY_BYTES + 1``.
    :param app: the Celery app; None: the current one.
    :param now: unix seconds; None: this machine's clock.
    :raises ConfigurationError: mulequeue's settings are wrong.
    """
    ctx = worker_context(app)
    now = time.time() if now is None else now
    try:
        event = _verified(ctx, headers, body, now)
        text = _take(ctx, event, now)
    except Refused as exc:
        status_code, reason = exc.args
        extra = {"status_code": status_code, "bytes": len(body)}
        logger.warning("webhook refused: %s", reason, extra=extra)
        return Reply(status_code, reason)
    except RedisError as exc:
        logger.warning("webhook deferred: %r", exc)
        return Reply(503, "temporarily unavailable")
    return Reply(200, text)


def settle_early(ctx: WorkerContext, task_id: str, remote_id: str) -> Effects:
    """Settle a generation if a webhook reported its end before its id was recorded."""
    end = ctx.ledger.webhooks.early_end(remote_id)
    return Effects() if end is None else _settle(ctx, task_id, remote_id, end, time.time())


def _verified(
    ctx: WorkerContext, headers: Mapping[str, str], body: bytes, now: float
) -> dict[str, Any]:
    """Verify the signature of a request, and return its event.

    :raises Refused: the signature or the content is invalid, or no secret is set.
    """
    secrets = ctx.settings.webhook_secret
    if not secrets:
        raise Refused(503, "no secret is set: mulequeue_webhook_secret or MULEQUEUE_WEBHOOK_SECRET")
    if len(body) > MAX_BODY_BYTES:
        raise Refused(413, "larger than 1 MiB")
    try:
        check_signature(headers, body, secrets=secrets, now=now)
    except SignatureError as exc:
        if len(body) < _content_length(headers):
            raise Refused(500, _CONSUMED) from None
        raise Refused(401, str(exc)) from None
    try:
        event = parsing.read_json(body)
    except (ValueError, RecursionError):
        raise Refused(400, "not JSON") from None
    if not isinstance(event, dict) or not isinstance(event.get("type"), str):
        raise Refused(400, "no event with a type")
    event_id = event.get("id")
    if not isinstance(event_id, str) or not 0 < len(event_id) <= _MAX_ID_CHARACTERS:
        raise Refused(400, "no event with an id")
    return event


def _content_length(headers: Mapping[str, str]) -> int:
    length = {name.lower(): value for name, value in headers.items()}.get("content-length", "")
    return int(length) if length.isdecimal() else 0


def _take(ctx: WorkerContext, event: dict[str, Any], now: float) -> str:
    """Process an event once; return the text of the reply."""
    event_id, remote_id, end = event["id"], None, None
    if event["type"].startswith("task."):
        remote_id, end = _end_in(event)
    result, task_id = ctx.ledger.webhooks.record_event(event_id, remote_id, end)
    if task_id is not None and remote_id is not None and end is not None:
        try:
            effects = _settle(ctx, task_id, remote_id, end, now)
        except RedisError:
            ctx.ledger.webhooks.forget_event(event_id)
            raise
        ctx.carry_out(effects).result()
        return "settled" if effects.wakes else "already settled"
    if result is EventResult.EARLY:
        logger.info("a webhook reports an unknown generation", extra={"remote_id": remote_id})
    elif result is EventResult.OTHER and event["type"] == "balance.low":
        logger.warning("the balance of an account is low")
        balance_low.send(sender=ctx.app, event=event)
    return result.value


def _end_in(event: Mapping[str, Any]) -> tuple[str | None, dict[str, Any] | None]:
    """Return the remote id and the payload of a generation that has ended, or (None, None) if it is active.

    The same is returned for an end without assets. A status check settles that generation, because the event
    may contain less than the response to the check.

    :raises Refused: the event contains no generation with an id.
    """
    data = event.get("data")
    payload = data.get("payload") if isinstance(data, dict) else None
    try:
        reply = parsing.read_task(payload)
    except parsing.WireError:
        raise Refused(400, "no generation in its data.payload") from None
    if not reply.remote_id or len(reply.remote_id) > _MAX_ID_CHARACTERS:
        raise Refused(400, "no generation with an id")
    is_bare = reply.error is not None and reply.error.type == "NoAssets"
    return (None, None) if reply.state == "active" or is_bare else (reply.remote_id, payload)


def _settle(
    ctx: WorkerContext, task_id: str, remote_id: str, end: Mapping[str, Any], now: float
) -> Effects:
    """Record that webhooks arrive for the profile, and settle the generation if its record waits for this id."""
    record = ctx.ledger.queries.record(task_id)
    if record is None:
        return Effects()
    ctx.ledger.webhooks.record_webhook(record.profile, now)
    if record.state != "generating" or record.remote_id != remote_id:
        return Effects()
    model = catalog.find(record.api_path)
    reply = parsing.read_task(end, kind=model.kind)
    answer = answer_of(reply, model, now=now)
    effects = ctx.ledger.generations.settle(
        task_id, None, reply.state, answer, duration_seconds=reported_duration(answer)
    )
    if effects.wakes:
        extra = {"task_id": task_id, "remote_id": remote_id, "status": reply.state}
        with tracing.continued_wake(effects.wakes[0]):
            logger.info("generation finished, reported by webhook", extra=extra)
    return effects
