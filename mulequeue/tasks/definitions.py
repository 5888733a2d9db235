"""The Celery tasks. Each is a shell around the function that does the work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from celery import shared_task

from mulequeue.tasks.base import (
    TASK_OPTIONS,
    ChainedGenerateTask,
    GenerateTask,
    LeasedTask,
    PollTask,
)
from mulequeue.tasks.run import run_chained, run_generation, run_once

__all__ = ["adopt", "download", "gather", "generate", "generate_from", "notify", "poll"]


@shared_task(bind=True, base=GenerateTask, name="mulequeue.generate", **TASK_OPTIONS)
def generate(
    self: Any,
    model: str,
    input: Mapping[str, Any],
    *,
    profile: str | None = None,
    max_wait: float | None = None,
    poll_interval: float | None = None,
    on_failure: str = "raise",
    batch_id: str | None = None,
    batch_size: int | None = None,
    validate: str | None = None,
) -> Any:
    """Make one generation and return its outcome, without holding a worker while it runs.

    The task id is the idempotency key: a second task with the same id is not billed again. Called
    directly or eagerly, the task blocks until the generation ends and needs no Redis.

    :param model: ``vendor/model[/action]`` as ``mulequeue models`` lists them, or a ``/vendors/…`` path.
    :param input: the JSON object for the API, sent unchanged; files by :func:`mulequeue.file`.
    :param profile: name of a profile; None: ``default``.
    :param max_wait: seconds that the generation may stay active before its outcome is ``timed_out``;
        None: the setting ``mulequeue_max_wait_seconds``, else the model's own limit.
    :param poll_interval: seconds between status checks; None: the intervals of the model.
    :param on_failure: ``raise`` a GenerationError, or ``return`` the outcome, as a chord needs it.
    :param batch_id: id of its batch; ``generate_many`` sets it.
    :param batch_size: number of generations in the batch; ``generate_many`` sets it.
    :param validate: ``strict``, ``warn`` or ``off``: validation of the input against the parameters of
        the model; None: the setting ``mulequeue_validate``.
    :returns: the outcome as a dict, see :class:`mulequeue.outcome.Outcome`. A member of a batch returns
        ``{task_id, status, files}``; the ledger has the rest.
    :raises InputError: in the calling process; the model is unknown or the input is invalid.
    :raises GenerationError: the generation failed, timed out, was cancelled or may have been created.
    """
    options = {
        "profile": profile,
        "max_wait": max_wait,
        "poll_interval": poll_interval,
        "on_failure": on_failure,
        "batch_id": batch_id,
        "batch_size": batch_size,
        "validate": validate,
    }
    return run_generation(self, model, lambda: input, options, slim_args=(model, {}))


@shared_task(bind=True, base=ChainedGenerateTask, name="mulequeue.generate_from", **TASK_OPTIONS)
def generate_from(
    self: Any,
    previous: Mapping[str, Any],
    model: str,
    input: Mapping[str, Any],
    *,
    use: str = "image",
    index: int = 0,
    **call: Any,
) -> Any:
    """Make a generation from an asset of the previous one in a chain.

    :param previous: an outcome. If it did not succeed, the task returns it unchanged.
    :param model: as for :func:`generate`.
    :param input: as for :func:`generate`, without the asset.
    :param use: the input field for ``previous.assets[index].url``. The URL is appended if the field
        takes a list (``images``) or already holds one.
    :param index: index of the asset.
    :param call: the other arguments of :func:`generate`.
    :raises InputError: ``previous`` is not an outcome, or it has no asset of this index.
    """
    return run_chained(self, previous, model, input, call, use=use, index=index)


@shared_task(bind=True, base=GenerateTask, name="mulequeue.adopt", **TASK_OPTIONS)
def adopt(
    self: Any,
    api_path: str,
    remote_id: str,
    *,
    profile: str | None = None,
    max_wait: float | None = None,
    poll_interval: float | None = None,
    on_failure: str = "raise",
) -> Any:
    """Wait for an existing generation and return its outcome. No create request is sent.

    :param api_path: path of its create request (``/vendors/…``, or the name of the model).
    :param remote_id: the API's id of the generation.
    :param profile: as for :func:`generate`; so are ``max_wait``, ``poll_interval`` and ``on_failure``.
    """
    options = {
        "profile": profile,
        "max_wait": max_wait,
        "poll_interval": poll_interval,
        "on_failure": on_failure,
    }
    slim_args = (api_path, remote_id)
    return run_generation(self, api_path, dict, options, slim_args=slim_args, remote_id=remote_id)


@shared_task(
    bind=True,
    base=PollTask,
    name="mulequeue.poll",
    ignore_result=True,
    **{**TASK_OPTIONS, "time_limit": 120, "soft_time_limit": 90},
)
def poll(self: Any, token: str) -> None:
    """Check every generation that is due, then send the next poll message.

    :param token: token of the message; a message without the current token has no effect.
    """
    from mulequeue.engine.poll.sweep import sweep
    from mulequeue.engine.worker_context import worker_context

    ctx = worker_context(self.app)
    ctx.publish_poll(sweep(ctx, token))


@shared_task(bind=True, base=LeasedTask, name="mulequeue.download", **TASK_OPTIONS)
def download(
    self: Any, outcome: Mapping[str, Any], *, storage: str | None = None, path: str | None = None
) -> dict[str, Any]:
    """Store the assets of an outcome and return the outcome with ``files``.

    :param outcome: the outcome of :func:`generate`. If it did not succeed, it is returned unchanged.
    :param storage: a folder or an fsspec URL; None: the setting ``mulequeue_storage``.
    :param path: template of the path within the storage; None: ``mulequeue_storage_path``.
    :returns: the outcome as a dict; for a member of a batch ``{task_id, status, files}``, with
        ``error`` if its files could not be stored, so that the chord does not fail.
    :raises DownloadError: all attempts failed, or the assets are gone.
    """
    from mulequeue.engine.followups import download

    return download.download(self, outcome, storage=storage, path=path)


@shared_task(bind=True, base=LeasedTask, name="mulequeue.notify", **TASK_OPTIONS)
def notify(self: Any, value: Any, target: str) -> Any:
    """Send a signed notification to a URL and return ``value`` unchanged.

    :param value: an outcome, a list of outcomes (as the body of a chord), or a task id (``link_error``).
    :param target: an https URL; it receives a POST as in Standard Webhooks.
    :raises NotificationError: the target did not accept it in ``mulequeue_notification_max_seconds``.
    """
    from mulequeue.engine.followups import notify

    return notify.notify(self, value, target)


@shared_task(bind=True, base=LeasedTask, name="mulequeue.gather", **TASK_OPTIONS)
def gather(self: Any, results: Any) -> Any:
    """Return the results of a batch's members: the body of a batch without a notification."""
    return run_once(self, lambda: results)
