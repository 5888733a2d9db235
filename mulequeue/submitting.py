"""A delivery of ``generate``: write the intent, POST once, record the id, park.

After the intent a delivery ends only in ``Ignore``: whatever goes wrong is settled in the ledger, and
the second delivery returns or raises it. (A task that fails here would fail its chain and chord for
good, while the generation may well be running.)
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

from celery.exceptions import Ignore
from redis.exceptions import RedisError

from mulequeue import client
from mulequeue.delivering import hand_over
from mulequeue.errors import ConfigurationError, InputError, MuleQueueError
from mulequeue.ledger import Intent, Verdict, new_token
from mulequeue.parking import marker_of, parked_signature
from mulequeue.plan import Plan, refusal_of
from mulequeue.runtime import Runtime
from mulequeue.schedule import backoff_seconds
from mulequeue.settings import Profile
from mulequeue.settling import answer_of, error_of

logger = logging.getLogger("mulequeue")
T = TypeVar("T")

NOT_CREATED_FIRST_SECONDS, NOT_CREATED_CEILING_SECONDS = 5.0, 300.0
NOT_SENT_FIRST_SECONDS, NOT_SENT_CEILING_SECONDS = 2.0, 60.0
LEDGER_PATIENCE_SECONDS = 30.0
"""How long a delivery waits for Redis before it hands its message back."""
LATEST_START_SECONDS = 10.0
"""A POST leaves within this time after its intent, or not at all."""


def deliver(
    task: Any,
    runtime: Runtime,
    make_plan: Callable[[], Plan],
    *,
    on_failure: str,
    slim_args: Sequence[Any],
    remote_id: str | None = None,
) -> Any:
    """What one delivery of a generating task does; returns only on the delivery of an outcome.

    :param make_plan: checks the call; an error of it is the generation's outcome.
    :param on_failure: ``raise`` or ``return`` an outcome that did not succeed.
    :param slim_args: the positional arguments without the input, for the message that wakes it.
    :param remote_id: of a generation that exists already: nothing is POSTed.
    :raises Ignore: the task is parked, or there is nothing to do.
    :raises GenerationError: the outcome did not succeed, with ``on_failure="raise"``.
    """
    started = _steady_clock()
    run, epoch, marker = new_token(), new_token(), marker_of(task.request)
    plan = _checked(make_plan)
    intent = _intent(task, runtime, plan, run=run, epoch=marker or epoch, marker=marker)
    if remote_id is not None and isinstance(plan, Plan) and not marker:
        _adopt(task, runtime, plan, intent, remote_id)
    verdict = _ask(task, runtime, intent)
    if verdict.what == "deliver":
        return hand_over(task, runtime, verdict, intent.epoch, run=run, on_failure=on_failure)
    if verdict.what != "submit":
        _leave(runtime, verdict, intent)
    if not isinstance(plan, Plan):
        # Good when it was parked, not any more: a file is gone, a key was taken away.
        runtime.wake([runtime.ledger.settle_submit(intent, "failed", refusal_of(plan))])
        raise Ignore("refused")
    try:
        _announce(task, plan)
        slim = parked_signature(
            task, queue=runtime.settings.wake_queue, epoch=intent.epoch, args=slim_args
        )
        runtime.run(_submit(runtime, plan, intent, slim, started))
    except Exception:
        # The intent's lease ends in submit_unknown; nothing is sent a second time.
        logger.exception("a submission broke off", extra={"task_id": intent.task_id})
    raise Ignore("parked")


def _adopt(task: Any, runtime: Runtime, plan: Plan, intent: Intent, remote_id: str) -> NoReturn:
    """Record an id that the API knows already; from there it is a generation like any other."""
    first = plan.schedule.seconds(0, random.random())

    def record() -> Any:
        return runtime.ledger.record_id(
            intent,
            remote_id,
            parked=intent.signature,
            first_poll_seconds=first,
            max_wait_seconds=plan.max_wait_seconds,
        )

    what, wake = _patiently(record, LEDGER_PATIENCE_SECONDS)
    if what == "generating":
        _announce(task, plan)
    runtime.wake([wake])
    runtime.poll_at(runtime.ledger.now() + first)
    raise Ignore(what)


def _checked(make_plan: Callable[[], Plan]) -> Plan | Exception:
    """The plan, or the error that stands for it.

    (A message woken with its outcome has lost its input, so an error says nothing then.)
    """
    try:
        return make_plan()
    except (InputError, ConfigurationError) as exc:
        return exc


def _intent(
    task: Any,
    runtime: Runtime,
    plan: Plan | Exception,
    *,
    run: str,
    epoch: str,
    marker: str,
) -> Intent:
    signature = (
        {} if marker else parked_signature(task, queue=runtime.settings.wake_queue, epoch=epoch)
    )
    common = {
        "task_id": task.request.id,
        "run": run,
        "epoch": epoch,
        "marker": marker,
        "signature": signature,
    }
    if isinstance(plan, Plan):
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
        )
    kwargs = task.request.kwargs or {}
    return Intent(
        **common,
        profile=_any_profile(runtime),
        path="",
        digest="",
        batch_id=kwargs.get("batch_id"),
        batch_size=kwargs.get("batch_size"),
        refusal=None if marker else refusal_of(plan),
    )


def _any_profile(runtime: Runtime) -> Profile:
    """A profile this worker can claim by: a refused call has none of its own."""
    known = runtime.settings.known_profiles()
    return known[0] if known else Profile(name="default", base_url="", api_key="")


def _ask(task: Any, runtime: Runtime, intent: Intent) -> Verdict:
    """The ledger's verdict; while Redis is away the message is kept alive, never lost."""
    if intent.task_id.startswith("transfer:"):
        raise InputError("A task id must not start with 'transfer:'.")
    seconds = runtime.settings.submit_timeout_seconds

    def ask() -> Verdict:
        return runtime.ledger.intend(intent, submit_seconds=seconds)

    try:
        return _patiently(ask, LEDGER_PATIENCE_SECONDS)
    except RedisError as exc:
        raise task.retry(exc=exc, countdown=30, max_retries=None) from None


def _patiently(function: Callable[[], T], seconds: float) -> T:
    """Call it again while Redis is away, for about ``seconds``."""
    ends = time.monotonic() + seconds
    attempt = 0
    while True:
        try:
            return function()
        except RedisError as exc:
            if time.monotonic() > ends:
                raise
            logger.warning("the ledger's Redis does not answer", extra={"error": repr(exc)})
            time.sleep(backoff_seconds(attempt, first=0.2, ceiling=5, chance=random.random()))
            attempt += 1


def _leave(runtime: Runtime, verdict: Verdict, intent: Intent) -> NoReturn:
    """Everything that is neither a submission nor a delivery."""
    extra = {"task_id": intent.task_id, "state": verdict.state}
    if verdict.what == "parked" and verdict.again is not None:
        runtime.poll_at(verdict.again)
    elif verdict.what == "wake":
        runtime.wake([verdict.wake])
        runtime.poll_at(runtime.ledger.now() + 30)
    elif verdict.what == "duplicate" and not verdict.is_same_input:
        logger.warning(
            "a task id was enqueued again with another input; the first one stands", extra=extra
        )
    elif verdict.what == "abandoned":
        logger.critical("an outcome could not be handed on; its record is kept", extra=extra)
    else:
        logger.info("nothing to do for this message: %s", verdict.what, extra=extra)
    raise Ignore(verdict.what)


def _announce(task: Any, plan: Plan) -> None:
    """The one state and the one event of the whole wait; both are only for people."""
    try:
        task.send_event("task-generating", model=plan.model.name)
        if not task.request.ignore_result and not task.ignore_result:
            task.update_state(state="GENERATING", meta={"model": plan.model.name})
    except Exception as exc:
        logger.warning("the state GENERATING was not stored", extra={"error": repr(exc)})


async def _submit(
    runtime: Runtime, plan: Plan, intent: Intent, slim: dict[str, Any], started: float
) -> None:
    """POST once and write down what came of it.

    :param started: steady clock, before the intent was written.
    """
    try:
        body = await runtime.call(plan.body, runtime.settings)
    except MuleQueueError as exc:
        refusal = refusal_of(exc)
        wake = await _keep_trying(
            runtime, lambda: runtime.ledger.settle_submit(intent, "failed", refusal)
        )
        runtime.wake([wake])
        return
    answer = await client.submit(
        plan.profile,
        plan.model.api_path,
        body,
        settings=runtime.settings,
        kind=plan.model.kind,
        not_after=lambda: _steady_clock() - started > LATEST_START_SECONDS,
    )
    await _write_down(runtime, plan, intent, slim, answer)


async def _write_down(
    runtime: Runtime, plan: Plan, intent: Intent, slim: dict[str, Any], answer: client.Submitted
) -> None:
    ledger = runtime.ledger
    if isinstance(answer, client.Accepted):
        await _accepted(runtime, plan, intent, slim, answer)
        return
    if isinstance(answer, (client.NotSent, client.NotCreated)):
        await _not_created(runtime, intent, answer)
        return
    if isinstance(answer, client.Refused):
        status, error = "failed", error_of(answer.error)
    else:
        status, error = "submit_unknown", _unknown_error(answer)
    wake = await _keep_trying(
        runtime, lambda: ledger.settle_submit(intent, status, {"error": error})
    )
    logger.warning("generation not accepted", extra={"task_id": intent.task_id, **error})
    runtime.wake([wake])


def _unknown_error(answer: client.Unknown) -> dict[str, Any]:
    error: dict[str, Any] = {
        "type": "SubmitUnknown",
        "title": "The create request was sent and its answer tells nothing",
        "detail": f"{answer.reason}. It may exist and may be paid; it is never sent again by itself.",
    }
    if answer.status_code is not None:
        error["status_code"] = answer.status_code
    return error


async def _accepted(
    runtime: Runtime, plan: Plan, intent: Intent, slim: dict[str, Any], answer: client.Accepted
) -> None:
    """A paid id: it is written down, however long that takes."""
    reply, remote_id = answer.reply, answer.reply.remote_id
    assert remote_id is not None
    first = plan.schedule.seconds(0, random.random())
    hold = "" if reply.state == "active" else new_token()

    def record() -> Any:
        return runtime.ledger.record_id(
            intent,
            remote_id,
            parked=slim,
            first_poll_seconds=first,
            max_wait_seconds=plan.max_wait_seconds,
            hold=hold,
        )

    what, wake = await _keep_trying(runtime, record, remote_id=remote_id)
    extra = {"task_id": intent.task_id, "remote_id": remote_id, "model": plan.model.name}
    logger.info("generation submitted", extra=extra)
    if what == "attached":
        logger.critical(
            "an id arrived after its task had ended; take it up with resume", extra=extra
        )
        return
    if hold and what in ("generating", "known"):
        end = answer_of(
            reply,
            kind=plan.model.kind,
            retention_seconds=plan.model.retention_seconds,
            now=time.time(),
        )
        wake = await _keep_trying(
            runtime, lambda: runtime.ledger.settle(intent.task_id, hold, reply.state, end)
        )
    runtime.wake([wake])
    now = await _keep_trying(runtime, runtime.ledger.now)
    await runtime.call(runtime.poll_at, now + (first if not hold else 30))


async def _not_created(
    runtime: Runtime, intent: Intent, answer: client.NotSent | client.NotCreated
) -> None:
    """Back to waiting; the profile's submissions pause over the whole fleet."""
    if isinstance(answer, client.NotCreated):
        asked, reason = answer.retry_after_seconds, answer.error.detail or answer.error.title
        first, ceiling = NOT_CREATED_FIRST_SECONDS, NOT_CREATED_CEILING_SECONDS
    else:
        asked, reason = None, answer.reason
        first, ceiling = NOT_SENT_FIRST_SECONDS, NOT_SENT_CEILING_SECONDS
    again, wake = await _keep_trying(
        runtime,
        lambda: runtime.ledger.retract(
            intent, retry_after_seconds=asked, first=first, ceiling=ceiling
        ),
    )
    logger.warning("submissions pause", extra={"profile": intent.profile.name, "reason": reason})
    runtime.wake([wake])
    if again is not None:
        await runtime.call(runtime.poll_at, again)


async def _keep_trying(
    runtime: Runtime, function: Callable[[], T], *, remote_id: str | None = None
) -> T:
    """Until Redis is back. An id that is paid is logged, so that even a dead machine's is known."""
    attempt = 0
    while True:
        try:
            return await runtime.call(function)
        except RedisError as exc:
            level = logging.CRITICAL if remote_id else logging.WARNING
            logger.log(
                level,
                "the ledger's Redis does not answer; remote id %s is not recorded yet",
                remote_id,
                extra={"remote_id": remote_id, "error": repr(exc)},
            )
            await asyncio.sleep(
                backoff_seconds(attempt, first=0.2, ceiling=5, chance=random.random())
            )
            attempt += 1


def _steady_clock() -> float:
    """Seconds that also pass while the machine sleeps or the process is stopped."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()
