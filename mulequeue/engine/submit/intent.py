"""Make the intent that a delivery of ``generate`` writes to the ledger."""

from __future__ import annotations

from typing import Any

from mulequeue.engine import tracing
from mulequeue.engine.dispatch import tail_of
from mulequeue.engine.generation_call import GenerationCall
from mulequeue.engine.generation_request import GenerationRequest, refusal_of
from mulequeue.engine.metadata import metadata_json
from mulequeue.engine.submit.park import expires_at, parked_signature, queued_seconds
from mulequeue.engine.worker_context import WorkerContext
from mulequeue.errors import InputError
from mulequeue.ledger import Intent, new_token
from mulequeue.settings import Profile
from mulequeue.settings.prices import price_line
from mulequeue.settings.profiles import NO_KEY


def intent_of(
    task: Any,
    ctx: WorkerContext,
    call: GenerationCall,
    plan: GenerationRequest | Exception,
    marker: str,
) -> Intent:
    """Return the intent of a delivery; that of a woken task leaves out what its record has.

    :param plan: the checked call, or its error.
    :param marker: the epoch of a wake; empty: the message comes from the user.
    """
    epoch = marker or new_token()
    common: dict[str, Any] = {
        "task_id": task.request.id,
        "run": new_token(),
        "epoch": epoch,
        "marker": marker,
        "signature": {},
        "expires": expires_at(task),
        "worker": str(task.request.hostname or ""),
    }
    if not marker:
        common |= {
            "signature": parked_signature(task, queue=ctx.settings.wake_queue, epoch=epoch),
            "tail": tail_of(task),
            "queued_seconds": queued_seconds(task.request),
            "trace": tracing.current_traceparent(),
        }
    if isinstance(plan, GenerationRequest):
        return _of_request(plan, common)
    return _of_error(plan, ctx, call, common)


def _of_request(plan: GenerationRequest, common: dict[str, Any]) -> Intent:
    return Intent(
        **common,
        profile=plan.profile,
        path=plan.path,
        digest=plan.digest,
        model=plan.model_name,
        kind=plan.model.kind,
        label=plan.label,
        batch_id=plan.batch_id,
        batch_size=plan.batch_size,
        interval=plan.interval,
        metadata=metadata_json(plan.metadata),
        fair_key=plan.fair_key or "",
        usd_micros=plan.usd_micros,
        price_line=price_line(plan.model),
        fault="" if plan.profile.api_key else NO_KEY.format(name=plan.profile.name),
    )


def _of_error(
    exc: Exception, ctx: WorkerContext, call: GenerationCall, common: dict[str, Any]
) -> Intent:
    """Return the intent of a refused call. It has no profile; any of this worker can claim its record."""
    try:
        batch_id, batch_size = call.options.batch
    except InputError:
        batch_id = batch_size = None
    known = ctx.settings.known_profiles()
    return Intent(
        **common,
        profile=known[0] if known else Profile(name="default", base_url="", api_key=""),
        path="",
        digest="",
        batch_id=batch_id,
        batch_size=batch_size,
        refusal=None if common["marker"] else refusal_of(exc),
    )
