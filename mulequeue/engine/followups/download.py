"""The task ``download``."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mulequeue.api import status_checks
from mulequeue.api.parsing import TaskReply
from mulequeue.engine.followups import attempts
from mulequeue.engine.followups.previous_outcome import read_outcome
from mulequeue.engine.worker_context import worker_context
from mulequeue.errors import InputError, MuleQueueError
from mulequeue.outcome import Asset, File, Outcome, is_outcome, is_reference
from mulequeue.settings import Settings
from mulequeue.signals import files_stored
from mulequeue.transfer.download_assets import download_assets

logger = logging.getLogger("mulequeue")

DELAYS_SECONDS = (2, 5, 15, 30, 60, 120, 300)
MAX_SECONDS = 24 * 3600.0


def download(
    task: Any, value: Mapping[str, Any], *, storage: str | None, path: str | None
) -> dict[str, Any]:
    """Handle one delivery of ``download``."""
    if task.request.called_directly or task.request.is_eager:
        if not _is_good(value):
            return dict(value)
        settings = Settings.load(task.app)
        outcome = Outcome.from_dict(value)
        files = _store(outcome, settings, storage, path)
        return replace(outcome, files=files).to_dict()
    ctx = worker_context(task.app)

    def attempt() -> dict[str, Any]:
        if not _is_good(value):
            return dict(value)
        outcome = read_outcome(task.app, value)
        started = time.monotonic()
        files = _store(outcome, ctx.settings, storage, path)
        ctx.meter.count_stored(files, time.monotonic() - started)
        ctx.ledger.generations.record_files(outcome.task_id, files)
        files_stored.send(sender=task, task_id=outcome.task_id, files=files)
        if is_reference(value):
            return reference(outcome, files)
        return replace(outcome, files=files).to_dict()

    try:
        return attempts.transfer(task, attempt, delays=DELAYS_SECONDS, most_seconds=MAX_SECONDS)
    except MuleQueueError as exc:
        if not is_reference(value):
            raise
        # A missing file must not fail the chord of a whole batch.
        logger.error("a file could not be stored: %s", exc, extra={"task_id": value["task_id"]})
        ctx.ledger.generations.record_files(value["task_id"], ())
        return {**dict(value), "files": [], "error": str(exc)}


def _is_good(value: Any) -> bool:
    """Return whether it has assets to store; an outcome that did not succeed passes through.

    :raises InputError: it is no outcome.
    """
    if not is_outcome(value):
        raise InputError("download needs the outcome of a generation as its first argument.")
    return bool(value["status"] == "succeeded")


def reference(outcome: Outcome, files: tuple[File, ...]) -> dict[str, Any]:
    """Return the short form that members of a batch return."""
    return {
        "task_id": outcome.task_id,
        "status": outcome.status,
        "files": [item.url for item in files],
    }


def _store(
    outcome: Outcome, settings: Settings, storage: str | None, path: str | None
) -> tuple[File, ...]:
    return download_assets(
        outcome,
        settings=settings,
        storage=storage,
        path=path,
        refresh=lambda: _refresh_assets(outcome, settings),
    )


def _refresh_assets(outcome: Outcome, settings: Settings) -> Outcome | None:
    """Return the outcome with fresh URLs from the API, or None."""
    if outcome.api_path is None or outcome.remote_id is None:
        return None
    found = status_checks.fetch_once(
        settings.profile(outcome.profile), outcome.api_path, outcome.remote_id, settings=settings
    )
    if not isinstance(found, TaskReply) or found.state != "succeeded":
        return None
    kind = found.kind or outcome.kind or "image"
    return replace(outcome, assets=tuple(Asset(url=url, kind=kind) for url in found.urls))
