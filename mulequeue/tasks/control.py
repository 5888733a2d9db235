"""Functions that control and show running generations: cancel, pause, unpause, status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mulequeue.tasks.batch_ids import member_ids

if TYPE_CHECKING:
    from mulequeue.engine.worker_context import WorkerContext
    from mulequeue.ledger import Batch, Record


def _context(app: Any) -> WorkerContext:
    # It loads Redis and HTTP clients, which other processes do not need.
    from mulequeue.engine.worker_context import worker_context

    return worker_context(app)


def cancel(task_id_or_batch_id: str, *, app: Any = None) -> dict[str, str]:
    """Cancel a task or all members of a batch.

    The API has no cancel, so generations that were submitted continue there and are billed.

    :param app: a Celery app; None: the current app.
    :returns: ``{task id: its previous state}``. A task in state ``unknown`` has no record yet; it is
        cancelled when its message arrives.
    """
    from mulequeue.ledger import Effects

    ctx = _context(app)
    batch = ctx.ledger.queries.batch(task_id_or_batch_id)
    ttl = ctx.settings.record_ttl_seconds
    if batch is None:
        # It may be a batch of which no message has reached a worker yet.
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
    """Pause the submissions of a profile in the whole fleet, until :func:`unpause`.

    Waiting generations keep their order. Submitted generations are polled and downloaded.

    :param app: a Celery app; None: the current app.
    :returns: False if the profile was already paused.
    :raises ConfigurationError: the profile is unknown.
    """
    ctx = _context(app)
    ctx.settings.profile(profile, needs_key=False)
    return ctx.ledger.limits.pause_submissions(profile)


def unpause(profile: str = "default", *, app: Any = None) -> bool:
    """Resume the submissions of a profile after :func:`pause`.

    :param app: a Celery app; None: the current app.
    :returns: False if the profile was not paused.
    :raises ConfigurationError: the profile is unknown.
    """
    ctx = _context(app)
    ctx.settings.profile(profile, needs_key=False)
    was_paused, effects = ctx.ledger.limits.resume_submissions(profile)
    ctx.carry_out(effects).result()
    return was_paused


def status(task_id_or_batch_id: str, *, app: Any = None) -> Record | Batch | None:
    """Return what the ledger has about a task or a batch.

    :param app: a Celery app; None: the current app.
    :returns: a :class:`~mulequeue.ledger.Batch`, a :class:`~mulequeue.ledger.Record`, or None if the id
        is unknown.
    """
    queries = _context(app).ledger.queries
    return queries.batch(task_id_or_batch_id) or queries.record(task_id_or_batch_id)
