"""The task of the user that a batch calls for each member, from the call to the member's message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from celery import Signature

from mulequeue.errors import InputError

if TYPE_CHECKING:
    from mulequeue.engine.worker_context import WorkerContext

_ROUTE = ("queue", "exchange", "routing_key", "priority")


def each_call(app: Any, each: Any) -> dict[str, Any]:
    """Return what the message of a batch holds of a signature.

    :raises InputError: it is not the signature of one task, or the app has no such task.
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
    """Return the signature that follows each member.

    Our own tasks follow it themselves. A task of the user is called by ``mulequeue.each``, under its
    lease, from the queue of that task.
    """
    name, args, kwargs, options = call["task"], call["args"], call["kwargs"], dict(call["options"])
    if name.startswith("mulequeue."):
        return app.tasks[name].signature(args, kwargs, **options)
    if not {"queue", "exchange", "routing_key"} & set(options):
        queue = getattr(app.tasks.get(name), "queue", None)
        queue = queue or app.amqp.router.route({}, name, args, kwargs)["queue"]
        options["queue"] = str(getattr(queue, "name", queue))
    # Logs and Flower show the user's name.
    return app.tasks["mulequeue.each"].signature((dict(call),), shadow=name, **options)


def repeat_calls(ctx: WorkerContext, calls: Mapping[str, bytes]) -> list[str]:
    """Begin calls again; return the members whose call did not begin meanwhile.

    :param calls: the call that was given up, by the task id of the member.
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
