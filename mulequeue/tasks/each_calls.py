"""Convert the argument ``each`` of ``generate_many``: for the batch message, and to a task that follows each member."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from celery import Signature

from mulequeue.errors import InputError

if TYPE_CHECKING:
    from mulequeue.engine.worker_context import WorkerContext

_ROUTE = ("queue", "exchange", "routing_key", "priority")


def each_call(app: Any, each: Any) -> dict[str, Any]:
    """Return the task, arguments and routing options of a signature, as the message of a batch holds them.

    :raises InputError: ``each`` is not the signature of one task, or the app has no such task.
    """
    if not isinstance(each, Mapping) or each.get("subtask_type") or not each.get("task"):
        raise InputError(
            "each takes the signature of one task, such as save.s(7). Call the others from that task."
        )
    if each["task"] not in app.tasks:
        raise InputError(
            f"each names the task {each['task']!r}, which is not registered. Import the module that "
            "defines it, or correct the name."
        )
    options = {name: value for name, value in each["options"].items() if name in _ROUTE}
    return {
        "task": each["task"],
        "args": list(each["args"]),
        "kwargs": dict(each["kwargs"]),
        "options": options,
    }


def each_signature(app: Any, call: Mapping[str, Any]) -> Signature:
    """Return the signature of the task that follows each member.

    A task of mulequeue follows the member directly. A task of the user is called by ``mulequeue.each``, which
    holds a lease; its message is sent to the queue of the user's task.
    """
    name, args, kwargs, options = call["task"], call["args"], call["kwargs"], dict(call["options"])
    if name.startswith("mulequeue."):
        return app.tasks[name].signature(args, kwargs, **options)
    if not {"queue", "exchange", "routing_key"} & set(options):
        queue = getattr(app.tasks.get(name), "queue", None)
        queue = queue or app.amqp.router.route({}, name, args, kwargs)["queue"]
        options["queue"] = str(getattr(queue, "name", queue))
    # Logs and Flower show the name of the user's task.
    return app.tasks["mulequeue.each"].signature((dict(call),), shadow=name, **options)


def repeat_calls(ctx: WorkerContext, calls: Mapping[str, bytes]) -> list[str]:
    """Repeat ``each`` calls; return the members whose call is repeated: it neither runs nor has succeeded.

    :param calls: task id of the member -> message of the call that was given up.
    """
    from mulequeue.ledger import Effects, unpack

    repeated: dict[str, Effects] = {}
    for task_id, message in calls.items():
        call_id = unpack(message)["options"]["task_id"]
        effects = ctx.ledger.leases.repeat(call_id, message, generation=task_id)
        if effects is not None:
            repeated[task_id] = effects
    ctx.carry_out(Effects.merge(repeated.values())).result()
    return list(repeated)
