"""Functions that control and show running generations: cancel, pause, unpause, status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from mulequeue.engine.generation_call import id_text
from mulequeue.errors import InputError
from mulequeue.tasks.batch_ids import member_ids, split_member_id

if TYPE_CHECKING:
    from mulequeue.engine.worker_context import WorkerContext
    from mulequeue.ledger import Batch, Ledger, Record


def context(app: Any) -> WorkerContext:
    """Return the worker context. The import is here, because it loads the Redis and HTTP clients."""
    from mulequeue.engine.worker_context import worker_context

    return worker_context(app)


def cancel(
    task_id_or_batch_id: str | UUID,
    *,
    waiting: bool = False,
    in_advance: bool = False,
    app: Any = None,
) -> dict[str, str]:
    """Cancel a task or all members of a batch. Generations that have an outcome are not changed.

    The API cannot cancel a generation, so those that were submitted continue there and are billed.

    :param waiting: cancel only generations whose create request was not sent; the others continue, and
        their files are stored.
    :param in_advance: accept an id that the ledger does not know: no worker has received its message yet. The
        task is cancelled when the message arrives.
    :param app: a Celery app; None: the current app.
    :returns: ``{task id: state before the call}``; the state of a task that has no record is ``unknown``.
    :raises InputError: the id is neither text nor a UUID; or, without ``in_advance``, the ledger does not
        know the id. Nothing is changed.
    """
    from mulequeue.ledger import CancelScope

    name = id_text(task_id_or_batch_id, "task_id_or_batch_id")
    ctx = context(app)
    found = known_name(ctx.ledger, name)
    if found is None and not in_advance:
        raise InputError(
            f"{unknown_id(name)} To cancel a task that no worker has received, pass in_advance=True."
        )
    name = found or name
    batch = ctx.ledger.queries.batch(name)
    # Without a record, the name may be of a batch that no worker has begun.
    task_ids = [name] if batch is None else member_ids(batch)
    states, effects = ctx.ledger.generations.cancel_batch(
        name,
        task_ids,
        ttl_seconds=ctx.settings.record_ttl_seconds,
        which=CancelScope.WAITING if waiting else CancelScope.ALL,
    )
    ctx.carry_out(effects).result()
    return dict(zip(task_ids, states, strict=True))


def pause(profile: str = "default", *, app: Any = None) -> bool:
    """Pause the submissions of a profile in the whole fleet, until :func:`unpause`.

    Waiting generations keep their order. Submitted generations are polled and downloaded.

    :param app: a Celery app; None: the current app.
    :returns: False if the profile was already paused.
    :raises ConfigurationError: the profile is unknown.
    """
    ctx = context(app)
    ctx.settings.profile(profile, needs_key=False)
    return ctx.ledger.limits.pause_submissions(profile)


def unpause(profile: str = "default", *, app: Any = None) -> bool:
    """Let workers submit again: end the pause by hand, and the pauses that followed failed create requests.

    :param app: a Celery app; None: the current app.
    :returns: False if the profile was not paused.
    :raises ConfigurationError: the profile is unknown.
    """
    ctx = context(app)
    ctx.settings.profile(profile, needs_key=False)
    was_paused, effects = ctx.ledger.limits.resume_submissions(profile)
    ctx.carry_out(effects).result()
    return was_paused


def status(task_id_or_batch_id: str | UUID, *, app: Any = None) -> Record | Batch | None:
    """Return what the ledger has about a task or a batch.

    :param app: a Celery app; None: the current app.
    :returns: a :class:`~mulequeue.ledger.Batch`, a :class:`~mulequeue.ledger.Record`, or None if the id
        is unknown.
    :raises InputError: the id is neither text nor a UUID.
    """
    task_id_or_batch_id = id_text(task_id_or_batch_id, "task_id_or_batch_id")
    queries = context(app).ledger.queries
    return queries.batch(task_id_or_batch_id) or queries.record(task_id_or_batch_id)


def known_name(ledger: Ledger, name: str) -> str | None:
    """Return the task id or batch id that a name refers to; None: the ledger does not know the name.

    :param name: a task id, a batch id or a remote id. The ledger also knows ids that a web app, a command or a
        worker has enqueued, and that no worker has received.
    """
    queries = ledger.queries
    if queries.batch(name) or queries.record(name) or ledger.enqueued.has(name):
        return name
    batch_id, index = split_member_id(name) or ("", 0)
    batch = queries.batch(batch_id) if batch_id else None
    is_member = batch is not None and index < batch.size  # it may have no record yet
    return name if is_member or ledger.leases.held([name]) else queries.task_of(name)


def unknown_id(name: str) -> InputError:
    """Return the error for an id that the ledger does not know."""
    return InputError(
        f"The ledger has no task, batch or remote id {name}. Records are kept for "
        "mulequeue_record_ttl_seconds, by default 7 days."
    )
