"""The members of a batch, and the task that waits for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

from celery import Signature

from mulequeue import catalog
from mulequeue.catalog.inputs import batch_digest
from mulequeue.engine.generation_call import check_fair_key, check_option_names, member_metadata
from mulequeue.errors import InputError
from mulequeue.tasks.batch_ids import files_id, member_id, member_ids
from mulequeue.tasks.each_calls import each_signature
from mulequeue.transfer.path_template import member_templates

_DELAYS_SECONDS = (5, 15, 60, 300)
_MAX_SECONDS = 24 * 3600.0
_LEAST_AHEAD, _SLICES = 200, 20
"""Most published members that no worker has begun: 200, or a twentieth of the batch if that is more."""
_PUBLISH_SECONDS = 0.5
"""Seconds until the task is woken to publish more members; its message is behind the members in the queue."""


def digest_of(model: str, inputs: Sequence[Mapping[str, Any]]) -> str:
    """Return a digest of the model and the inputs of a batch; the aliases of a model have the same digest."""
    with suppress(InputError):  # an unknown model: each member is rejected later
        model = catalog.find(model).api_path
    return batch_digest(model, inputs)


def check_batch_call(
    inputs: Any, options: Mapping[str, Any], path: str | Sequence[str] | None
) -> None:
    """Check the arguments of a batch: its inputs, the other arguments of ``generate``, the paths.

    :raises InputError: there is no input, an argument does not exist, or the fair key or the metadata of a member
        is invalid.
    :raises ConfigurationError: a path template is invalid, two are the same, or there are not as many as inputs.
    """
    if not isinstance(inputs, Sequence) or not inputs:
        raise InputError("generate_many needs a list with at least one input; inputs is empty.")
    check_option_names("generate_many", options)
    check_fair_key(options.get("fair_key"))
    member_metadata(options.get("metadata"), len(inputs))
    member_templates(path, len(inputs))


@dataclass(frozen=True, kw_only=True)
class BatchCall:
    """A call of the task ``generate_many``."""

    model: str
    inputs: Sequence[Mapping[str, Any]] | None
    """One per member; None: the members have been published."""
    batch_id: str
    download: bool
    storage: str | None
    path: str | Sequence[str] | None
    """One template for all members, or one per member."""
    each: Mapping[str, Any] | None
    """The task that gets the outcome of each member, see :func:`.each_calls.each_call`."""
    options: Mapping[str, Any]
    """The other arguments of ``generate``."""

    def members(self) -> Iterator[tuple[str, Any, dict[str, Any], dict[str, Any]]]:
        """Iterate over the members: task id, input, and the options of ``generate`` and of ``download``."""
        inputs = self.inputs or ()
        options = {"on_failure": "return", **self.options}
        options |= {"batch_id": self.batch_id, "batch_size": len(inputs)}
        metadata = member_metadata(options.pop("metadata", None), len(inputs))
        target = {"storage": self.storage} if self.storage else {}
        paths = member_templates(self.path, len(inputs)) or [""] * len(inputs)
        for index, (item, data, path) in enumerate(zip(inputs, metadata, paths, strict=True)):
            yield (
                member_id(self.batch_id, index),
                item,
                {**options, "metadata": data} if data else options,
                {**target, "path": path} if path else target,
            )


def run_batch(task: Any, call: BatchCall) -> list[dict[str, Any]]:
    """Handle one delivery of ``generate_many``: publish its members, or return their outcomes.

    :raises Ignore: a member has not ended, so the task is parked; or as for :func:`.attempts.run_leased`.
    :raises InputError: an argument is invalid, or the ledger knows the batch with other inputs or another model.
    """
    if task.request.called_directly or task.request.is_eager:
        return [_run_inline(task, call, *member) for member in call.members()]
    from mulequeue.engine.followups.attempts import Attempt, BatchIsOpen, run_leased
    from mulequeue.engine.followups.judge import Policy
    from mulequeue.engine.worker_context import context_of

    ctx = context_of(task)

    def make(attempt: Attempt) -> list[dict[str, Any]]:
        if call.inputs is not None:
            _publish(task, ctx.ledger, call)
        results = _results(ctx, call)
        if results is None:
            raise BatchIsOpen(call.batch_id, inputs=None, path=None, batch_id=call.batch_id)
        return results

    policy = Policy(delays=_DELAYS_SECONDS, max_seconds=_MAX_SECONDS, keeps_value=False)
    results: list[dict[str, Any]] = run_leased(task, make, policy)
    return results


def _publish(task: Any, ledger: Any, call: BatchCall) -> None:
    """Publish the members that were not published yet, unless the batch was cancelled.

    :raises InputError: as :func:`run_batch`.
    :raises BatchIsOpen: as :func:`_publish_members`.
    """
    from mulequeue.engine.submit.park import expires_at
    from mulequeue.ledger import BatchState

    inputs = call.inputs or ()
    check_batch_call(inputs, call.options, call.path)
    size = len(inputs)
    state, known_size = ledger.batches.open(
        call.batch_id,
        size=size,
        digest=digest_of(call.model, inputs),
        downloads=call.download,
        expires=expires_at(task),
    )
    if state is BatchState.OTHER:
        raise InputError(
            f"Batch {call.batch_id} is known with other inputs ({known_size} of them) or another "
            f"model. Nothing of this call was sent. Give these {size} inputs another batch_id."
        )
    if state is BatchState.OPENED:
        _publish_members(task, ledger, call)


def _publish_members(task: Any, ledger: Any, call: BatchCall) -> None:
    """Publish members until enough of them are in the queue, or the batch expires.

    A queue with all members of a large batch would delay the downloads of the first ones until the
    last one is submitted.

    :raises BatchIsOpen: members are left; the task is woken to publish them.
    """
    from mulequeue.engine.followups.attempts import BatchIsOpen
    from mulequeue.engine.followups.outbox import publish_all

    batch = ledger.queries.batch(call.batch_id)
    sent, most = batch.sent or 0, max(_LEAST_AHEAD, batch.size // _SLICES)
    members = islice(_members(task, call), sent, None)
    while sent < batch.size and not _is_expired(ledger, batch):
        part = list(islice(members, max(0, batch.begun + most - sent)))
        if not part:
            raise BatchIsOpen(call.batch_id, seconds=_PUBLISH_SECONDS)
        publish_all(task, part)
        sent += len(part)
        ledger.batches.record_sent(call.batch_id, sent, is_all=sent == batch.size)
        batch = ledger.queries.batch(call.batch_id)


def _is_expired(ledger: Any, batch: Any) -> bool:
    return bool(batch.expires and ledger.queries.now() >= batch.expires)


def _results(ctx: Any, call: BatchCall) -> list[dict[str, Any]] | None:
    """Return the short form of each outcome, or None if a member has not ended. Cancel an expired batch first."""
    from mulequeue.engine.followups.batch_results import batch_results
    from mulequeue.ledger import CancelScope

    ledger = ctx.ledger
    batch = ledger.queries.batch(call.batch_id)
    if batch is None:
        raise InputError(
            f"The ledger has no batch {call.batch_id}; batches are kept for "
            "mulequeue_record_ttl_seconds."
        )
    ids = member_ids(batch)
    if _is_expired(ledger, batch) and not batch.is_cancelled:
        _, effects = ledger.generations.cancel_batch(
            call.batch_id,
            ids,
            ttl_seconds=ctx.settings.record_ttl_seconds,
            which=CancelScope.EXPIRED,
        )
        ctx.carry_out(effects).result()
        batch = ledger.queries.batch(call.batch_id)
    return batch_results(ledger, batch, {task_id: files_id(task_id) for task_id in ids})


def _members(task: Any, call: BatchCall) -> Iterator[Signature]:
    """Iterate over the messages of the members; each contains the tasks that follow the member."""
    generate = task.app.tasks["mulequeue.generate"]
    stamps, options = _stamps(task.request), _publish_options(task)
    for task_id, item, given, target in call.members():
        member = generate.signature((call.model, item), given, task_id=task_id, **options, **stamps)
        following = [
            dict(step.set(ignore_result=True, **stamps))
            for step in _following(task.app, call, task_id, target)
        ]
        if following:
            member.set(**_in_order(following, protocol=task.app.conf.task_protocol))
        yield member


def _in_order(following: list[dict[str, Any]], *, protocol: int) -> dict[str, Any]:
    """Return the message option by which tasks follow a message, one after the other.

    It is ``chain``, or ``link`` for Celery's protocol 1, which has no chain.
    """
    if protocol != 1:
        return {"chain": following[::-1]}
    for step, follower in pairwise(following):
        step["options"]["link"] = [follower]
    return {"link": following[:1]}


def _following(
    app: Any, call: BatchCall, task_id: str, target: Mapping[str, Any]
) -> Iterator[Signature]:
    """Iterate over the tasks that follow a member, in their order."""
    # The task mulequeue.attach of mulequeue.contrib.django stores the files itself.
    attaches = call.download and (call.each or {}).get("task") == "mulequeue.attach"
    if call.download and not attaches:
        yield app.tasks["mulequeue.download"].s(**target).set(task_id=files_id(task_id))
    if call.each:
        name = files_id(task_id) if attaches else f"{task_id}-each"
        yield each_signature(app, call.each).set(task_id=name)


def _publish_options(task: Any) -> dict[str, Any]:
    """Return the options with which the members of a batch are published.

    The ids of parent and root, the priority, the queue and the headers come from the message of the batch task,
    because Celery does not pass them on here. Results are not stored.
    """
    from mulequeue.engine.followups.attempts import own_queue

    request, queue = task.request, own_queue(task)
    options = {"parent_id": request.id, "root_id": request.root_id or request.id}
    priority = (request.delivery_info or {}).get("priority")
    if priority:
        options["priority"] = priority
    routed = task.app.amqp.router.route({}, task.name).get("queue")
    if queue and queue != getattr(routed, "name", routed):
        options["queue"] = queue
    return {**options, "headers": dict(request.headers or {}), "ignore_result": True}


def _stamps(request: Any) -> dict[str, Any]:
    names = list(getattr(request, "stamped_headers", None) or ())
    stamps = getattr(request, "stamps", None) or {}
    return {"stamped_headers": names, **{name: stamps.get(name) for name in names}} if names else {}


def _run_inline(
    task: Any,
    call: BatchCall,
    task_id: str,
    item: Any,
    options: Mapping[str, Any],
    target: Mapping[str, Any],
) -> dict[str, Any]:
    """Run a member in the calling process, without Redis."""
    generate = task.app.tasks["mulequeue.generate"]
    made = generate.apply((call.model, item), dict(options), task_id=task_id, throw=True)
    result = dict(made.result)
    for step in _following(task.app, call, task_id, target):
        told = step.clone((result,)).apply(throw=True).result
        result = told or result
    return result
