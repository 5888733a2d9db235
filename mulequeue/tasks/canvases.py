"""Canvases of generations: a chord for many inputs, and a signature that waits for one again."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from celery import Signature, chord

from mulequeue.errors import InputError
from mulequeue.settings import Settings
from mulequeue.settings.budgets import check_batch
from mulequeue.tasks import definitions as tasks
from mulequeue.tasks.batch_ids import body_id, files_id, member_id
from mulequeue.transfer.path_template import check_template


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
    """Return a chord with one generation per input; start it with ``.delay()``.

    Members return ``{task_id, status, files}`` for every outcome, so the body of the chord always
    runs. The ledger has the rest of each outcome by task id.

    :param model: as for ``generate``.
    :param inputs: one JSON object per generation.
    :param download: whether to store the files.
    :param notify: URL that receives one notification after all members have ended.
    :param batch_id: id of the batch for ``status`` and ``cancel``. A batch that is enqueued twice with
        the same id is billed once. None: a random id.
    :param storage: as for ``download``.
    :param path: as for ``download``.
    :param call: the other arguments of ``generate``.
    :raises BudgetExceeded: there are more inputs than ``max_per_batch`` allows.
    :raises InputError: there is no input, or an input is invalid (the text has its index).
    :raises ConfigurationError: the path template is invalid.
    """
    batch_id = batch_id or uuid.uuid4().hex[:12]
    inputs = list(inputs)
    options = {name: value for name, value in call.items() if value is not None}
    _validate_batch(model, inputs, options, path)
    options = {"on_failure": "return", **options, "batch_id": batch_id, "batch_size": len(inputs)}
    target = {key: value for key, value in (("storage", storage), ("path", path)) if value}
    members = []
    for index, item in enumerate(inputs):
        task_id = member_id(batch_id, index)
        # Not .s(), which would validate each input again.
        member = tasks.generate.signature((model, item), dict(options), task_id=task_id)
        if download:
            member |= tasks.download.s(**target).set(task_id=files_id(task_id))
        members.append(member)
    body = tasks.notify.s(notify) if notify else tasks.gather.s()
    # All ids depend on the batch's: a batch that is enqueued again after an interrupted first time is
    # the same chord. The chord passes its own id to its header and body; an id set on the header is lost.
    chord_id = body_id(batch_id)
    return chord(members, body.set(task_id=chord_id)).set(task_id=chord_id)


def _validate_batch(
    model: str, inputs: list[Mapping[str, Any]], options: Mapping[str, Any], path: str | None
) -> None:
    from mulequeue.catalog.validation.calls import validate_calls

    if not inputs:
        raise InputError("generate_many needs at least one input; inputs is empty.")
    if path:
        check_template(path)
    app = tasks.generate.app
    check_batch(Settings.load(app), model, len(inputs), options.get("profile"))
    validate_calls(app, model, inputs, validate=options.get("validate"))


def resume(task_id: str, *, app: Any = None) -> Signature:
    """Return a signature of ``adopt`` that waits again for the generation of a task.

    It uses the profile and the poll interval of the record. Set other arguments of ``adopt``
    (``max_wait``, ``on_failure``) with ``.clone(kwargs=…)``.

    :param app: a Celery app; None: the current app.
    :raises InputError: the ledger has no record of the task, or the API returned no id for it.
    """
    from mulequeue.engine.worker_context import worker_context

    record = worker_context(app).ledger.queries.record(task_id)
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
    return tasks.adopt.s(
        record.api_path, remote_id, profile=record.profile, poll_interval=record.interval
    )
