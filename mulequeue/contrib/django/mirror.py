"""Copy the ledger's records into rows: one on each signal, all on ``manage.py mulequeue reconcile``.

A process locks a row before it reads the record. If two processes write a row at the same time, the last
one therefore writes the newest state.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from celery.utils.functional import chunks
from django.conf import settings
from django.db import OperationalError, connections, router, transaction
from django.db.models import Model
from django.utils import timezone

from mulequeue import signals
from mulequeue.contrib.django.models import MAX_CHARACTERS, UNDER_WAY, Batch, Generation, State
from mulequeue.engine.generation_request import GenerationRequest
from mulequeue.engine.worker_context import worker_context
from mulequeue.ledger import Ledger, Record, outcome_of

MAX_INPUT_BYTES = 64 * 1024
_CHUNK_SIZE = 500
_MAX_DEADLOCKS = 5
_KEPT_OPTIONS = ("queue", "exchange", "routing_key", "priority", "shadow", "ignore_result")
_MIRRORED = [
    column.name
    for column in Generation._meta.concrete_fields
    if column.name not in ("task_id", "input", "again_of", "following")
]
"""The columns that are copied from the ledger's record."""


def _receive(sender: Any, task_id: str, plan: GenerationRequest | None = None, **_: Any) -> None:
    mirror([task_id], app=sender.app)
    if plan is not None:
        _keep_call(sender, task_id, plan)


for _signal in (signals.generation_parked, signals.generation_settled, signals.files_stored):
    _signal.connect(_receive)


def _keep_call(task: Any, task_id: str, plan: GenerationRequest) -> None:
    """Store the prompt, the input and the following tasks, for searches and repeats; the ledger deletes them."""
    prompt, text = plan.input.get(plan.model.prompt_field), json.dumps(plan.input, default=str)
    kept: dict[str, Any] = {"prompt": _storable(prompt)} if isinstance(prompt, str) else {}
    if plan.input and len(text) <= MAX_INPUT_BYTES:
        kept["input"] = _storable(json.loads(text))
    if not plan.input:
        kept |= _known_input(task_id)
    if following := _following_of(task):
        kept["following"] = _storable(json.loads(json.dumps(following, default=str)))
    if kept:
        Generation.objects.filter(pk=task_id).update(**kept)


def _following_of(task: Any) -> list[dict[str, Any]]:
    """Return the tasks that follow the running task in its chain, in their order, as JSON."""
    steps = reversed(task.request.chain or [])
    return [
        {
            "task": step["task"],
            "args": list(step["args"]),
            "kwargs": dict(step["kwargs"]),
            "options": {k: v for k, v in step["options"].items() if k in _KEPT_OPTIONS},
        }
        for step in steps
        if not step.get("subtask_type")
    ]


def _known_input(task_id: str) -> dict[str, Any]:
    """Return the prompt and the input of another row with the same remote id, if there is one.

    An adopted generation has no input.
    """
    remote_id = Generation.objects.filter(pk=task_id).values_list("remote_id", flat=True).first()
    others = Generation.objects.filter(remote_id=remote_id or "-").exclude(pk=task_id)
    found = others.exclude(prompt="").values("prompt", "input").first()
    return dict(found or {})


def mirror(task_ids: Iterable[str], *, app: Any = None) -> int:
    """Write the rows of these generations; return how many of them have a record in the ledger.

    The state of an unfinished row without a record becomes ``lost``.

    :param app: the Celery app; None: the current one.
    """
    ledger = worker_context(app).ledger
    names = sorted({name for name in task_ids if len(name) <= MAX_CHARACTERS})
    database = connections[router.db_for_write(Generation)]
    for _ in range(_MAX_DEADLOCKS):
        try:
            return _mirror(ledger, names)
        except OperationalError:
            # MySQL ends a deadlock by aborting one of the transactions, so that one is repeated.
            if database.vendor != "mysql" or database.in_atomic_block:
                raise
    return _mirror(ledger, names)


def _mirror(ledger: Ledger, names: list[str]) -> int:
    rows = Generation.objects
    with transaction.atomic(using=router.db_for_write(Generation)):
        _insert(Generation, names)
        locked = rows.select_for_update().filter(pk__in=names).order_by("pk")
        prompts = dict(locked.values_list("pk", "prompt"))
        found = ledger.queries.records(names)
        records = [record for record in found if record and record.state != "tombstone"]
        known = {record.task_id for record in records}
        missing = rows.filter(pk__in=[name for name in names if name not in known])
        missing.filter(mirrored_at=None).delete()
        missing.filter(state__in=UNDER_WAY).update(state=State.LOST, mirrored_at=timezone.now())
        _write_batches(ledger, {record.batch for record in records if record.batch})
        mirrored = [_row(record, prompts.get(record.task_id)) for record in records]
        _update(Generation, mirrored, _MIRRORED)
    return len(known)


def reconcile(*, app: Any = None) -> tuple[int, int]:
    """Write the rows of all records, and mark unfinished rows without a record as lost.

    This corrects rows whose signals were lost. Rows of finished generations whose records have expired stay
    unchanged.

    :returns: the number of rows that were written from a record, and the number of rows that are lost.
    """
    started, mirrored, lost = timezone.now(), 0, 0
    for names in chunks(iter(worker_context(app).ledger.queries.task_ids()), _CHUNK_SIZE):
        mirrored += mirror(names, app=app)
    stale = Generation.objects.filter(state__in=UNDER_WAY, mirrored_at__lt=started).order_by()
    for names in chunks(iter(stale.values_list("pk", flat=True)), _CHUNK_SIZE):
        known = mirror(names, app=app)
        mirrored, lost = mirrored + known, lost + len(names) - known
    return mirrored, lost


def _write_batches(ledger: Ledger, batch_ids: set[str]) -> None:
    names = sorted(batch_ids)
    if not names:
        return
    _insert(Batch, names)  # a batch may expire in the ledger before its members
    rows = [
        Batch(
            pk=batch.batch_id,
            size=batch.size,
            is_cancelled=batch.is_cancelled,
            created_at=_time(batch.created),
        )
        for name in names
        if (batch := ledger.queries.batch(name)) is not None
    ]
    _update(Batch, rows, ["size", "is_cancelled", "created_at"])


def _insert(model: type[Model], names: list[str]) -> None:
    """Insert the rows that do not exist, and lock all of them.

    An insert locks an existing row, and on SQLite the whole database. On MySQL an insert takes only a shared
    lock on an existing row, and two writers that then request the exclusive lock deadlock. Therefore existing
    rows are locked first on MySQL.
    """
    rows = model._default_manager
    if connections[router.db_for_write(model)].vendor == "mysql":
        there = rows.select_for_update().filter(pk__in=names).order_by("pk")
        names = sorted(set(names) - set(there.values_list("pk", flat=True)))
    rows.bulk_create([model(pk=name) for name in names], ignore_conflicts=True)


def _update(model: type[Model], rows: list[Any], columns: list[str]) -> None:
    """Write these columns of existing rows."""
    features = connections[router.db_for_write(model)].features
    # MySQL and MariaDB do not support unique_fields (a conflict target).
    has_target = features.supports_update_conflicts_with_target
    model._default_manager.bulk_create(
        rows,
        update_conflicts=True,
        update_fields=columns,
        unique_fields=[model._meta.pk.name] if has_target else None,
    )


def _row(record: Record, prompt: str | None) -> Generation:
    """Make the row of a record.

    :param prompt: the full prompt in the existing row; a record holds only its beginning.
    """
    over: dict[str, Any] = {}
    if record.is_over:
        outcome = outcome_of(record).to_dict()
        over = {key: _storable(outcome[key]) for key in ("assets", "error", "kind")}
    return Generation(
        task_id=record.task_id,
        remote_id=(record.remote_id or record.late_remote_id or "")[:MAX_CHARACTERS],
        state=record.status or record.state,
        batch_id=record.batch,
        model=(record.model or "")[:MAX_CHARACTERS],
        profile=record.profile,
        api_path=record.api_path[:MAX_CHARACTERS],
        kind=over.pop("kind", None) or record.kind or "",
        prompt=prompt or _storable(record.label),
        files=[asdict(item) for item in record.files],
        metadata=_storable(dict(record.metadata)),
        estimated_usd=record.estimated_usd,
        polls=record.polls,
        created_at=_time(record.created),
        submitted_at=_time(record.submitted),
        finished_at=_time(record.finished),
        mirrored_at=timezone.now(),
        **over,
    )


def _storable(value: Any) -> Any:
    """Remove from JSON the characters that PostgreSQL rejects: NUL and lone surrogates."""
    if isinstance(value, str):
        return value.replace("\0", "").encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_storable(key): _storable(item) for key, item in value.items()}
    return [_storable(item) for item in value] if isinstance(value, list) else value


def _time(at: float | None) -> datetime | None:
    """Convert unix seconds to the time that the project stores: naive local time if ``USE_TZ`` is False."""
    return datetime.fromtimestamp(at, UTC if settings.USE_TZ else None) if at else None
