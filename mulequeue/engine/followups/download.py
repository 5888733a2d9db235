"""The task ``download``."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from functools import cached_property, partial
from typing import Any
from urllib.parse import urlsplit

from celery.exceptions import Ignore
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from mulequeue.api import status_checks
from mulequeue.api.parsing import TaskReply
from mulequeue.api.results import NotFound, Transient
from mulequeue.engine.call_arguments import normalize_arguments
from mulequeue.engine.delivery import current_delivery
from mulequeue.engine.following_tasks import feeds_user_task
from mulequeue.engine.followups.attempts import Attempt, own_queue, run_leased
from mulequeue.engine.followups.batch_results import read_outcome
from mulequeue.engine.followups.judge import MAX_ATTEMPTS, Policy
from mulequeue.engine.redis_retry import call_with_retry
from mulequeue.engine.worker_context import WorkerContext, context_of
from mulequeue.errors import (
    AssetGone,
    ConfigurationError,
    DownloadError,
    InputError,
    MuleQueueError,
)
from mulequeue.ledger.records import files_error
from mulequeue.outcome import Asset, File, Outcome, is_outcome, is_reference, short_form
from mulequeue.settings import Settings
from mulequeue.signals import files_stored
from mulequeue.transfer.download_assets import download_assets
from mulequeue.transfer.path_template import check_template

logger = logging.getLogger("mulequeue")

DELAYS_SECONDS = (2, 10, 20, 40, 80, 160, 270)
"""Between attempts. With ``MAX_ATTEMPTS``, a URL that answers without the file is given up after about an hour."""
MEMBER_ATTEMPTS = 3
"""After this many attempts a batch continues without such a file. A later download stores it if it appears."""
INLINE_RETRIES = 5
_LATE = "-late"
MAX_SECONDS = 48 * 3600.0
"""The longest time that the API keeps an asset. A download is retried this long if the storage fails."""


Store = Callable[[Outcome, Settings, Attempt | None], tuple[File, ...]]
"""Stores the assets of an outcome. The attempt is None for a call without a worker."""


def download(task: Any, value: Mapping[str, Any], store: Store) -> dict[str, Any]:
    """Handle one delivery or direct call of ``download``, or of another task that stores assets."""
    if task.request.called_directly or task.request.is_eager:
        if not _is_good(value):
            return dict(value)
        outcome, settings = Outcome.from_dict(value), Settings.load(task.app)
        return replace(outcome, files=download_inline(outcome, settings, store)).to_dict()
    return _Download(task, value, store).handle()


class _Download:
    """One delivery of ``download`` to a worker."""

    def __init__(self, task: Any, value: Mapping[str, Any], store: Store) -> None:
        self._ctx = context_of(task)
        self._task, self._value, self._store = task, value, store
        self._is_member = is_outcome(value) and is_reference(value)
        self._is_late = task.request.id.endswith(_LATE)

    def handle(self) -> dict[str, Any]:
        """Store the files, and return the outcome with them. For a batch's member, return the error if that fails."""
        try:
            stored = run_leased(self._task, self._make, self._policy())
        except MuleQueueError as exc:
            return self._without_files(exc)
        if stored is None:
            return self._result()
        files = tuple(File(**item) for item in stored)
        self._record(files)
        return self._result(files=files)

    def _result(self, **changes: Any) -> dict[str, Any]:
        """Return the outcome. In a batch return its short form, unless a task of the user gets the result."""
        is_short = is_reference(self._value) and not feeds_user_task(self._task)
        if not changes and (is_short or not is_reference(self._value)):
            return dict(self._value)
        if is_short:
            return short_form(replace(Outcome.from_dict(self._value), **changes))
        try:
            return replace(read_outcome(self._task.app, self._value), **changes).to_dict()
        except InputError:  # the ledger no longer has it
            return dict(self._value)

    @cached_property
    def _outcome(self) -> Outcome | None:
        return read_outcome(self._task.app, self._value) if _is_good(self._value) else None

    def _policy(self) -> Policy:
        waits_for_batch = self._is_member and not self._is_late
        # For a member, this class writes the error to the record.
        is_own_record = is_outcome(self._value) and not self._is_member
        return Policy(
            delays=DELAYS_SECONDS,
            max_seconds=MAX_SECONDS,
            max_attempts=MEMBER_ATTEMPTS if waits_for_batch else MAX_ATTEMPTS,
            host=lambda: asset_host(self._outcome),
            generation=self._value["task_id"] if is_outcome(self._value) else None,
            error_field="file_error" if is_own_record else "",
        )

    def _make(self, attempt: Attempt) -> list[dict[str, Any]] | None:
        if self._outcome is None:
            return None
        started, settings = time.monotonic(), self._ctx.settings
        if self._is_member:  # the delivery that returned its outcome may have left part of a file
            attempt = replace(attempt, is_repeated=True)
        files = self._store(self._outcome, settings, attempt)
        self._ctx.meter.count_stored(files, time.monotonic() - started)
        return [asdict(file) for file in files]

    def _without_files(self, exc: MuleQueueError) -> dict[str, Any]:
        """Return the outcome of a batch's member with the error of its download, so that the batch does not fail.

        :raises MuleQueueError: the generation is not a member of a batch.
        """
        if not self._is_member:
            # AssetGone is the error of one attempt; the task fails with DownloadError.
            raise DownloadError(str(exc), retryable=False) if isinstance(exc, AssetGone) else exc
        task_id, error = self._value["task_id"], str(exc)
        logger.error("a file could not be stored: %s", exc, extra={"task_id": task_id})
        if isinstance(exc, AssetGone) and not self._is_late:
            self._continue_later()
        self._record((), error=error)
        return self._result(files=(), error=files_error(error))

    def _continue_later(self) -> None:
        """Enqueue another download of the same files, for which the batch does not wait.

        The rest of this task's chain follows that download instead. A chord does not wait for it.
        """
        request = self._task.request
        args, kwargs = normalize_arguments(self._task.name, request.args, request.kwargs)
        with suppress(OperationalError):  # a sweep publishes the message when it is overdue
            self._task.apply_async(
                args,
                kwargs,
                task_id=f"{request.id}{_LATE}",
                queue=own_queue(self._task),
                ignore_result=True,
                chain=request.chain,
            )
        request.chain = None

    def _record(self, files: tuple[File, ...], *, error: str | None = None) -> None:
        """Record the files or the error of the download.

        :raises Ignore: Redis does not answer; the task is delivered again.
        """
        try:
            record_files(self._task, self._ctx, self._value["task_id"], files, error=error)
        except RedisError:
            if (delivery := current_delivery(self._task.request.id)) is not None:
                delivery.release()
            raise Ignore("the ledger does not answer") from None


def record_files(
    task: Any,
    ctx: WorkerContext,
    task_id: str,
    files: tuple[File, ...],
    *,
    error: str | None = None,
) -> None:
    """Record the files of a generation, or the error because of which it has none.

    :raises redis.exceptions.RedisError: Redis does not answer.
    """
    change = partial(ctx.ledger.generations.record_files, task_id, files, error=error)
    ctx.carry_out(call_with_retry(ctx, change)).result()
    if error is None:
        files_stored.send(sender=task, task_id=task_id, files=files)


def download_inline(outcome: Outcome, settings: Settings, store: Store) -> tuple[File, ...]:
    """Store the assets in this process, without a worker. Retry retryable errors five times (152 s)."""
    for delay in DELAYS_SECONDS[:INLINE_RETRIES]:
        try:
            return store(outcome, settings, None)
        except DownloadError as exc:
            if not exc.retryable:
                raise
        time.sleep(delay)
    return store(outcome, settings, None)


def _is_good(value: Any) -> bool:
    """Return whether the generation succeeded. Outcomes of other generations are returned unchanged.

    :raises InputError: ``value`` is not an outcome.
    """
    if not is_outcome(value):
        raise InputError("download needs the outcome of a generation as its first argument.")
    return bool(value["status"] == "succeeded")


def asset_host(outcome: Outcome | None) -> str | None:
    """Return the host of the first asset that has one, or None if nothing is fetched."""
    assets = outcome.assets if outcome is not None else ()
    try:
        return next((host for item in assets if (host := urlsplit(item.url).netloc)), None)
    except ValueError:
        return None  # the attempt reports the invalid URL


def store_in(storage: str | None, path: str | None) -> Store:
    """Return the function that stores assets; see the task ``download`` for the arguments."""

    def store(outcome: Outcome, settings: Settings, attempt: Attempt | None) -> tuple[File, ...]:
        if path and attempt is not None:
            try:
                check_template(path)
            except ConfigurationError as exc:  # every worker has it
                raise InputError(str(exc)) from None
        return download_assets(
            outcome,
            settings=settings,
            storage=storage,
            path=path,
            refresh=lambda: refresh_assets(outcome, settings),
            control=None if attempt is None else attempt.control,
            is_repeated=attempt is not None and attempt.is_repeated,
        )

    return store


class NotReached(DownloadError):
    """Raised if the API gave no usable answer, and this host may be the cause."""


def refresh_assets(outcome: Outcome, settings: Settings) -> Outcome | None:
    """Return the outcome with the asset URLs of a new status check; None if it has no remote id or API path.

    :raises AssetGone: the API does not know the generation any more, or reports that it failed.
    :raises DownloadError: the API gives no usable answer (``NotReached``: this host may be the cause).
    :raises ConfigurationError: this worker has no profile for the outcome.
    """
    if outcome.api_path is None or outcome.remote_id is None:
        return None
    profile = settings.profile_of(outcome.profile, outcome.base_url)
    found = status_checks.fetch_once(
        profile, outcome.api_path, outcome.remote_id, settings=settings
    )
    if isinstance(found, NotFound) and found.is_gone:
        raise AssetGone("the API does not know the generation any more.", retryable=False)
    if isinstance(found, Transient) and found.is_local:
        raise NotReached(f"no usable answer ({found.reason}).")
    if not isinstance(found, TaskReply) or found.state == "active":
        raise DownloadError(f"no usable answer ({getattr(found, 'reason', 'not finished')}).")
    if found.error is not None and found.error.type != "NoAssets":
        raise AssetGone("it has failed since.", retryable=False)
    kind = found.kind or outcome.kind or "image"
    return replace(outcome, assets=tuple(Asset(url=url, kind=kind) for url in found.urls))
