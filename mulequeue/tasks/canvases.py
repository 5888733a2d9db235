"""Many generations at once, and what can be done with those that exist."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from celery import Signature, chord

from mulequeue.errors import InputError
from mulequeue.settings import Settings
from mulequeue.settings.budgets import check_batch
from mulequeue.tasks.batch_ids import files_id, member_id, member_ids
from mulequeue.tasks.definitions import (
    adopt,
    gather,
    generate,
)
from mulequeue.tasks.definitions import (
    download as download_task,
)
from mulequeue.tasks.definitions import (
    notify as notify_task,
)
from mulequeue.transfer.path_template import check_template

if TYPE_CHECKING:
    from mulequeue.engine.worker_context import WorkerContext
    from mulequeue.ledger import Batch, Record


def _context(app: Any) -> WorkerContext:
    from mulequeue.engine.worker_context import (
        worker_context,  # with Redis and HTTP: only where it is used
    )

    return worker_context(app)


def generate_many(
    model: str,
    inputs: Iterable[Mapping[str, Any]],
    *,
    download: bool = True,
    notify: str | None = None,
    batch_id: str | None = None,
    storage: str | None = None,
    path: str | None = None,
    **call: Any,
) -> Signature:
    """A chord over many inputs, to be started with ``.delay()``.

    Its members return ``{task_id, status, files}`` whatever came of them, so the body always runs;
    the rest is read from the ledger by the task id.

    :param inputs: one JSON object per generation.
    :param download: store the files.
    :param notify: URL that is told once all members are done.
    :param batch_id: names the batch for ``status`` and ``cancel``; enqueued twice it is paid once.
    :param storage: as for ``download``; so is ``path``.
    :param call: other arguments of ``generate``.
    :raises BudgetExceeded: more inputs than ``max_per_batch`` allows.
    :raises InputError: no inputs at all, or one that the model does not take (the text names which).
    :raises ConfigurationError: a path template that cannot be filled in.
    """
    batch_id = batch_id or uuid.uuid4().hex[:12]
    inputs = list(inputs)
    call = {"on_failure": "return", **{key: item for key, item in call.items() if item is not None}}
    if not inputs:
        raise InputError("generate_many needs at least one input.")
    if path:
        check_template(path)
    check_batch(Settings.load(generate.app), model, len(inputs), call.get("profile"))
    _validate_inputs(model, inputs, call.get("validate"))
    where = {key: value for key, value in (("storage", storage), ("path", path)) if value}
    members = []
    for index, item in enumerate(inputs):
        given = {**call, "batch_id": batch_id, "batch_size": len(inputs)}
        # Not .s(): all inputs were checked, together.
        member = generate.signature((model, item), given, task_id=member_id(batch_id, index))
        if download:
            member |= download_task.s(**where).set(task_id=files_id(member_id(batch_id, index)))
        members.append(member)
    # All ids follow from the batch's: a batch enqueued twice, the first time only in part, is one
    # chord all the same.
    body = notify_task.s(notify) if notify else gather.s()
    # The chord's own id becomes that of its header and its body; one set on the header gets lost.
    body_id = f"{batch_id}-body"
    return chord(members, body.set(task_id=body_id)).set(task_id=body_id)


def _validate_inputs(model: str, inputs: list[Mapping[str, Any]], validate: str | None) -> None:
    from mulequeue.catalog.validation.calls import validate_calls

    validate_calls(generate.app, model, inputs, validate=validate)


def resume(task_id: str, *, app: Any = None) -> Signature:
    """A signature that takes up a generation again whose id is known.

    Other arguments of ``adopt`` (``max_wait``, ``on_failure``) are set on it with
    ``.clone(kwargs=…)``; the poll interval is the one it had.

    :raises InputError: the ledger does not know the task, or it never got an id.
    """
    record = _context(app).ledger.queries.record(task_id)
    if record is None:
        raise InputError(f"The ledger does not know task {task_id}.")
    remote_id = record.late_remote_id or record.remote_id
    if remote_id is None:
        raise InputError(
            f"Task {task_id} never got an id from the API ({record.status or record.state}), so "
            "there is nothing to take up; start a new generation if you accept to pay for it."
        )
    return adopt.s(
        record.api_path, remote_id, profile=record.profile, poll_interval=record.interval
    )


def cancel(task_id_or_batch_id: str, *, app: Any = None) -> dict[str, str]:
    """Cancel on our side; the API has no cancel, so what it was given goes on there and is paid.

    :returns: ``{task id: the state it was in}``; ``unknown`` is remembered for when it arrives.
    """
    from mulequeue.ledger import Effects

    ctx = _context(app)
    batch = ctx.ledger.queries.batch(task_id_or_batch_id)
    ttl = ctx.settings.record_ttl_seconds
    if batch is None:
        # It may be a batch all of whose members are still on their way to a worker.
        ctx.ledger.generations.cancel_batch(task_id_or_batch_id, ttl_seconds=ttl)
        task_ids = [task_id_or_batch_id]
    else:
        ctx.ledger.generations.cancel_batch(batch.batch_id)
        task_ids = member_ids(batch)
    states: dict[str, str] = {}
    effects: list[Effects] = []
    for task_id in task_ids:
        state, settled = ctx.ledger.generations.cancel(task_id, ttl_seconds=ttl)
        states[task_id] = state
        effects.append(settled)
    ctx.carry_out(Effects.merge(effects)).result()
    return states


def pause(profile: str = "default", *, app: Any = None) -> bool:
    """Submit nothing more under a profile, on the whole fleet, until :func:`unpause`.

    What waits keeps its place, what was submitted is polled and downloaded as ever.

    :returns: False when it was paused already.
    :raises ConfigurationError: no such profile.
    """
    ctx = _context(app)
    ctx.settings.profile(profile, needs_key=False)
    return ctx.ledger.limits.pause_submissions(profile)


def unpause(profile: str = "default", *, app: Any = None) -> bool:
    """Let the submissions of a profile go on.

    :returns: False when it was not paused by hand.
    :raises ConfigurationError: no such profile.
    """
    ctx = _context(app)
    ctx.settings.profile(profile, needs_key=False)
    was_paused, effects = ctx.ledger.limits.resume_submissions(profile)
    ctx.carry_out(effects).result()
    return was_paused


def status(task_id_or_batch_id: str, *, app: Any = None) -> Record | Batch | None:
    """What the ledger knows of a task or a batch; None when it knows neither."""
    ledger = _context(app).ledger
    return ledger.queries.batch(task_id_or_batch_id) or ledger.queries.record(task_id_or_batch_id)
