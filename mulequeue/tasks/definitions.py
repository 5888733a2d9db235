"""The Celery tasks. Each one calls the function that does its work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from celery.utils import uuid

from mulequeue.engine.generation_call import (
    CallOptions,
    GenerationCall,
    check_remote_id,
    check_task_id,
)
from mulequeue.errors import InputError, TransferError
from mulequeue.tasks.base import (
    TASK_OPTIONS,
    BatchTask,
    ChainedGenerateTask,
    DownloadTask,
    GenerateTask,
    LeasedTask,
    RedactedTask,
)
from mulequeue.tasks.batches import BatchCall, run_batch
from mulequeue.tasks.run import run_chained, run_generation, run_once
from mulequeue.tasks.shared_task import shared_task


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
    metadata: Mapping[str, Any] | None = None,
    fair_key: str | None = None,
    mulequeue_epoch: str | None = None,
) -> Any:
    """Make one generation and return its outcome, without occupying a worker slot while it runs.

    The task id is the idempotency key: a second task with the same id is not billed again while the
    record of the first is kept (``mulequeue_record_ttl_seconds``, by default seven days). Called directly or
    eagerly, the task blocks until the generation ends and needs no Redis.

    :param model: ``vendor/model[/action]`` as ``mulequeue models`` lists them, or a ``/vendors/…`` path.
    :param input: the JSON object for the API; it gets the defaults of the setting ``mulequeue_defaults`` for
        fields that it lacks. Pass a file with :func:`mulequeue.file`.
    :param profile: name of a profile; None: ``default``.
    :param max_wait: seconds from the acceptance by the API after which a generation that is still active gets
        the outcome ``timed_out``; None: the setting ``mulequeue_max_wait_seconds``, else the limit of the model.
    :param poll_interval: seconds between status checks; None: they are computed from the durations of the model's
        latest generations, or, if too few are known, taken from the model. While webhooks arrive, the checks are
        rarer in all cases.
    :param on_failure: ``raise``: a generation that does not succeed raises a GenerationError. ``return``: the
        task returns the outcome, so that a chord continues with its body.
    :param batch_id: id of its batch; ``generate_many`` sets it.
    :param batch_size: number of generations in the batch; ``generate_many`` sets it.
    :param validate: ``strict``, ``warn`` or ``off``: validation of the input against the parameters of
        the model; None: the setting ``mulequeue_validate``.
    :param metadata: your own data about the generation, a JSON object of at most 1,024 bytes. It is in the
        outcome, in notifications, in ``mulequeue list``, and in the admin; the API does not receive it.
    :param fair_key: the key by which waiting generations take turns, such as the id of a customer. All
        generations with one key share one turn, also if they are in several batches. Printable text of 1 to 64
        bytes; None: the batch takes the place of the key.
    :returns: the outcome as a dict, see :class:`mulequeue.outcome.Outcome`. A member of a batch returns the
        short form ``{task_id, status, files}``, with ``error`` and ``metadata`` unless they are empty; if your
        own task directly follows it, it returns the whole outcome.
    :raises InputError: in the calling process: the model is unknown, or the input or another argument is invalid.
    :raises GenerationError: the generation failed, timed out or was cancelled, or it is unknown whether it was
        created.
    """
    options = CallOptions(
        profile=profile,
        max_wait=max_wait,
        poll_interval=poll_interval,
        on_failure=on_failure,
        batch_id=batch_id,
        batch_size=batch_size,
        validate=validate,
        metadata=metadata,
        fair_key=fair_key,
    )
    call = GenerationCall(
        model=model, make_input=lambda: input, options=options, replaced={"input": {}}
    )
    return run_generation(self, call)


@shared_task(bind=True, base=ChainedGenerateTask, name="mulequeue.generate_from", **TASK_OPTIONS)
def generate_from(
    self: Any,
    previous: Mapping[str, Any],
    model: str,
    input: Mapping[str, Any],
    *,
    use: str = "image",
    index: int = 0,
    mulequeue_epoch: str | None = None,
    **call: Any,
) -> Any:
    """Make a generation from an asset of the previous one in a chain.

    :param previous: the outcome of the previous task. If it is not ``succeeded``, the task returns it unchanged.
    :param model: as for :func:`generate`.
    :param input: as for :func:`generate`, without the asset.
    :param use: the input field that receives ``previous.assets[index].url``. The URL is appended if the
        field takes a list (``images``) or already holds one.
    :param index: index of the asset in ``previous.assets``.
    :param call: the other arguments of :func:`generate`; ``metadata`` is by default that of ``previous``.
    :raises InputError: ``previous`` is not an outcome, or an argument does not exist.
    :raises GenerationError: as for :func:`generate`; also if ``previous`` has no asset of this index.
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
    metadata: Mapping[str, Any] | None = None,
    mulequeue_epoch: str | None = None,
) -> Any:
    """Wait for an existing generation and return its outcome. No create request is sent.

    :param api_path: path of the create request (``/vendors/…``), or name of the model.
    :param remote_id: the API's id of the generation.
    :param profile: as for :func:`generate`; so are ``max_wait``, ``poll_interval``, ``on_failure`` and
        ``metadata``.
    """
    options = CallOptions(
        profile=profile,
        max_wait=max_wait,
        poll_interval=poll_interval,
        on_failure=on_failure,
        metadata=metadata,
    )
    call = GenerationCall(model=api_path, options=options, remote_id=check_remote_id(remote_id))
    return run_generation(self, call)


# Without events, because Flower keeps 100,000 tasks: up to two poll tasks per second would displace all others.
# A rate limit would delay every generation of the fleet; None would select task_default_rate_limit.
@shared_task(
    bind=True,
    base=RedactedTask,
    name="mulequeue.poll",
    ignore_result=True,
    send_events=False,
    rate_limit=0,
    pinned_options=(*TASK_OPTIONS, "rate_limit"),
    **{**TASK_OPTIONS, "time_limit": 120, "soft_time_limit": 90},
)
def poll(self: Any, token: str) -> None:
    """Check every generation that is due, then send the next poll message.

    :param token: token of the message; only the message with the current token has an effect.
    """
    from mulequeue.engine.poll.sweep import sweep
    from mulequeue.engine.worker_context import worker_context

    ctx = worker_context(self.app)
    ctx.publish_poll(sweep(ctx, token))


@shared_task(bind=True, base=DownloadTask, name="mulequeue.download", **TASK_OPTIONS)
def download(
    self: Any, outcome: Mapping[str, Any], *, storage: str | None = None, path: str | None = None
) -> dict[str, Any]:
    """Store the assets of an outcome and return the outcome with ``files``.

    :param outcome: the outcome of :func:`generate`. If it is not ``succeeded``, it is returned unchanged.
    :param storage: a folder or an fsspec URL; None: the setting ``mulequeue_storage``.
    :param path: template of the path within the storage; None: the setting ``mulequeue_storage_path``.
    :returns: the outcome as a dict. A member of a batch returns the short form, unless your own task directly
        follows; if its files could not be stored, it raises no error, and the result has the ``error``.
    :raises ConfigurationError: in the calling process: the path template is invalid.
    :raises InputError: ``outcome`` is not an outcome.
    :raises DownloadError: a file could not be stored, and no attempt follows: too much time has passed, the API
        no longer has the asset, or another attempt would fail in the same way.
    """
    from mulequeue.engine.followups import download

    return download.download(self, outcome, download.store_in(storage, path))


@shared_task(bind=True, base=LeasedTask, name="mulequeue.notify", **TASK_OPTIONS)
def notify(self: Any, value: Any, target: str) -> Any:
    """Send a signed notification to a URL and return ``value`` unchanged.

    :param value: an outcome, a list of outcomes (as the body of a chord receives it), or a task id (as
        ``link_error`` passes it).
    :param target: an https URL. It receives a POST request that is signed by the Standard Webhooks scheme.
    :raises InputError: ``value`` is none of these, or ``target`` is not an allowed URL.
    :raises NotificationError: the target did not accept the notification within
        ``mulequeue_notification_max_seconds``, or it returned 410.
    """
    from mulequeue.engine.followups import notify

    return notify.notify(self, value, target)


@shared_task(bind=True, base=LeasedTask, name="mulequeue.each", ignore_result=True, **TASK_OPTIONS)
def each(self: Any, outcome: Mapping[str, Any], call: Mapping[str, Any]) -> None:
    """Call a task of the user with the outcome of a batch member. ``generate_many(each=…)`` sends this task.

    :param outcome: the outcome of a generation, or its short form.
    :param call: a dict with ``task`` (the name), ``args`` and ``kwargs`` of the user's task.
    """
    from mulequeue.engine.followups import each

    each.each(self, outcome, call)


@shared_task(
    bind=True,
    base=BatchTask,
    name="mulequeue.generate_many",
    compression="zlib",
    throws=(InputError, TransferError),
    **TASK_OPTIONS,
)
def generate_many(
    self: Any,
    model: str,
    inputs: Sequence[Mapping[str, Any]] | None,
    *,
    batch_id: str | None = None,
    download: bool = True,
    storage: str | None = None,
    path: str | Sequence[str] | None = None,
    each: Mapping[str, Any] | None = None,
    **call: Any,
) -> list[dict[str, Any]]:
    """Make one generation per input, and return the outcomes. The function ``generate_many`` sends this task.

    One message holds the whole batch. The worker that receives it publishes the members, and parks the task
    in the ledger until the last member has ended.

    :param inputs: one JSON object per generation; None in the message that wakes the parked task.
    :param batch_id: id of the batch; None: the task id.
    :returns: the short form of each member's outcome, in the order of the inputs.
    :raises InputError: an argument is invalid, or the ledger knows the batch with other inputs or another model.
    """
    return run_batch(
        self,
        BatchCall(
            model=model,
            inputs=inputs,
            batch_id=check_task_id(batch_id or self.request.id or uuid(), "batch_id"),
            download=download,
            storage=storage,
            path=path,
            each=each,
            options=call,
        ),
    )


@shared_task(bind=True, base=LeasedTask, name="mulequeue.gather", **TASK_OPTIONS)
def gather(self: Any, results: Any) -> Any:
    """Return ``results``: the body of the chord by which version 0.1.0 sent a batch."""
    return run_once(self, lambda: results)
