"""Signatures of generations: many inputs as one batch, and one generation that is resumed."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from celery import Signature

from mulequeue import catalog
from mulequeue.catalog.defaults import with_defaults
from mulequeue.engine.generation_call import check_task_id, id_text
from mulequeue.errors import InputError
from mulequeue.settings import Settings
from mulequeue.settings.costs import check_batch
from mulequeue.tasks import definitions as tasks
from mulequeue.tasks.batches import check_batch_call, digest_of
from mulequeue.tasks.control import context
from mulequeue.tasks.each_calls import each_call


def generate_many(
    model: str,
    inputs: Iterable[Mapping[str, Any]],
    *,
    download: bool = True,
    notify: str | None = None,
    batch_id: str | uuid.UUID | None = None,
    storage: str | None = None,
    path: str | Sequence[str] | None = None,
    each: Signature | None = None,
    **call: Any,
) -> Signature:
    """Return a signature that makes one generation per input; start it with ``.delay()``.

    The signature is one task (with ``notify``, a chain of two), which can be part of a chain, a group or a
    chord. It ignores the result of the task before it. Its result is a list of ``{task_id, status, files}`` in
    the order of the inputs, also for members that did not succeed: the short form of each outcome, with ``error``
    and ``metadata`` unless they are empty. The function ``status`` returns the whole record of a member by its task
    id. The task ends when every member has ended and, with ``download``, its files are stored or given up.

    :param model: as for ``generate``.
    :param inputs: one JSON object per generation.
    :param download: whether to store the files.
    :param notify: URL that receives one notification after all members have ended.
    :param batch_id: id of the batch for ``status`` and ``cancel``; None: a random id. A batch that is enqueued
        twice with the same id and inputs is billed once while its records are kept (by default seven days). A
        second batch with the same id and other inputs fails with an InputError, and none of it is sent.
    :param storage: as for ``download``.
    :param path: as for ``download``; or a list with a different template for each input.
    :param each: the signature of your own task, such as ``save.s(7)``. It is called for each member with the
        outcome as its first argument, as soon as the files of the member are stored or the member has failed.
        It is called again if it raises an error or its worker is killed, so a second call must change nothing.
    :param call: the other arguments of ``generate``; ``metadata`` may be a list with one object per input.
    :raises BudgetExceeded: the batch exceeds ``max_per_batch`` or a limit in US dollars, or the price of an
        input is unknown while a limit in US dollars applies.
    :raises InputError: there is no input, an input is invalid (the text has its index), an argument does not
        exist or is invalid, the task of ``each`` is not registered, or the batch id is neither text nor a UUID
        or begins with ``transfer:`` or ``gate:``.
    :raises ConfigurationError: a path template is invalid, two are the same, or there are not as many as inputs.
    """
    from mulequeue.catalog.validation.calls import validate_calls

    if batch_id:
        batch_id = check_task_id(batch_id, "batch_id")
    app = tasks.generate.app
    settings, found = Settings.load(app), catalog.find(model)
    # The message and the digest of the batch hold the inputs as they are sent.
    inputs = [with_defaults(settings.defaults, found, item) for item in inputs]
    options = {name: value for name, value in call.items() if value is not None}
    check_batch_call(inputs, options, path)
    check_batch(settings, model, inputs, options.get("profile"), options.get("fair_key"))
    validate_calls(app, model, inputs, validate=options.get("validate"))
    named = (("batch_id", batch_id), ("storage", storage), ("path", path))
    options |= {"download": download, **{name: value for name, value in named if value}}
    if each is not None:
        options["each"] = each_call(app, each)
    # The id depends on the inputs too: a call with other inputs is rejected, and has a separate result.
    task_id = f"{batch_id}-{digest_of(model, inputs)[:8]}" if batch_id else uuid.uuid4().hex[:12]
    batch = tasks.generate_many.si(model, inputs, **options).set(task_id=task_id)
    if notify is None:
        return batch
    return batch | tasks.notify.s(notify).set(task_id=f"{task_id}-notify")


def resume(task_id: str | uuid.UUID, *, app: Any = None) -> Signature:
    """Return a signature of ``adopt`` that waits again for the generation of a task.

    The signature has the profile, the poll interval and the metadata of the record. Set other arguments of
    ``adopt`` (``max_wait``, ``on_failure``) with ``.clone(kwargs=…)``.

    :param app: a Celery app; None: the current app.
    :raises InputError: ``task_id`` is neither text nor a UUID, the ledger has no record of the task, or the API
        returned no id for it.
    """
    ctx, task_id = context(app), id_text(task_id)
    record = ctx.ledger.queries.record(task_id)
    if record is None:
        raise InputError(
            f"The ledger has no record of task {task_id}. Check the id; records are kept "
            "for mulequeue_record_ttl_seconds after delivery."
        )
    remote_id = record.late_remote_id or record.remote_id
    if remote_id is None:
        raise InputError(
            f"Task {task_id} has no id from the API ({record.status or record.state}), so it cannot "
            "be resumed. Start a new generation if you accept the cost."
        )
    # The task of this app: tasks.adopt belongs to the current app.
    options: dict[str, Any] = {"profile": record.profile, "poll_interval": record.interval}
    if record.metadata:
        options["metadata"] = dict(record.metadata)
    return ctx.app.tasks["mulequeue.adopt"].s(record.api_path, remote_id, **options)
