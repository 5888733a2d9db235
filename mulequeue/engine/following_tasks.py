"""The tasks that follow a task (chain, callbacks, chord): digest, ids, publishing, and the stored result.

Celery publishes the tasks that follow, and then stores the result. If the result backend does not answer,
the task is delivered again, and that delivery only stores the result.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from celery.utils.functional import maybe_list
from kombu.utils import json

logger = logging.getLogger("mulequeue")
MAX_RESULT_ATTEMPTS = 20
"""Deliveries after which a result that cannot be stored is given up: about half a day."""
_DELAYS_SECONDS = (30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
_LEASED = {"mulequeue.download", "mulequeue.each", "mulequeue.notify"}
_OPTIONS = ("task_id", "chord", "link", "link_error")


def tail_of(task: Any) -> str:
    """Return a digest of the tasks that follow the running task, or an empty text if none does.

    A message that the broker delivers again has the same digest. So has a repeated call that sets the same ids
    for the tasks that follow. With the backend ``rpc://`` the digest includes the reply queue of the caller,
    so it is not empty.
    """
    request = task.request
    # The backend rpc:// sends each result to the process that made the call.
    is_rpc = type(task.app.backend).__module__ == "celery.backends.rpc"
    return _digest(
        [request.chain, request.callbacks, request.errbacks, request.chord],
        # The message of a Celery retry names its own task as the parent.
        parent_id=None if request.parent_id == request.id else request.parent_id,
        member=[request.group, request.group_index],
        reply_to=request.reply_to if is_rpc else None,
    )


def tail_of_message(options: Mapping[str, Any]) -> str:
    """Return what :func:`tail_of` returns in a task that was published with these options of ``apply_async``."""
    return _digest(
        [
            options.get("chain"),
            maybe_list(options.get("link")),
            maybe_list(options.get("link_error")),
            options.get("chord"),
        ],
        parent_id=options.get("parent_id"),
        member=[options.get("group_id"), options.get("group_index")],
    )


def _digest(
    following: Sequence[Any],
    *,
    parent_id: str | None,
    member: Sequence[Any],
    reply_to: str | None = None,
) -> str:
    if not any(following) and not reply_to:
        return ""
    is_member = following[-1] is not None
    text = json.dumps(
        [_with_options(following, _identity), parent_id, member if is_member else None, reply_to],
        sort_keys=True,
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _identity(signature: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a signature that identify it.

    The other options depend on the publishing process (``reply_to``) or are added by Celery. The id of a group
    or chord is left out, because Celery makes a new one per call: its members identify it.
    """
    options, is_canvas = signature["options"], signature.get("subtask_type") in ("group", "chord")
    names = _OPTIONS[1:] if is_canvas else _OPTIONS
    return {key: options[key] for key in names if options.get(key)}


def _with_options(value: Any, change: Callable[[Mapping[str, Any]], dict[str, Any]]) -> Any:
    """Return a copy in which every signature has the options that a function returns for it."""
    if isinstance(value, (list, tuple)):
        return [_with_options(item, change) for item in value]
    if not isinstance(value, Mapping):
        return value
    copy = {key: _with_options(item, change) for key, item in value.items()}
    if "task" in copy and isinstance(copy.get("options"), Mapping):
        copy["options"] = change(copy)
    return copy


def _fed_by(task: Any) -> list[str]:
    """Return the names of the tasks that get this result as their argument: the next of the chain, and callbacks.

    The body of a chord is not among them, because it gets the results of all members.
    """
    following = [*(task.request.chain or [])[-1:], *(task.request.callbacks or [])]
    return [item["task"] for item in following]


def feeds_user_task(task: Any) -> bool:
    """Return whether a task of the user gets the result of the running task as its argument (not in a chord)."""
    return any(not name.startswith("mulequeue.") for name in _fed_by(task))


def feeds_leased_task(task: Any) -> bool:
    """Return whether ``download``, ``each`` or ``notify`` follows; its end may change the record."""
    return not _LEASED.isdisjoint(_fed_by(task))


def skip_dispatch(task: Any) -> None:
    """Keep Celery from publishing the chain and the callbacks of the running task."""
    task.request.chain = task.request.callbacks = None


def follower_id(task_id: str, returned: int) -> str:
    """Return the id of a task that follows another task.

    The tasks that followed an earlier result have run under their ids, so further messages with these ids are
    ignored.

    :param returned: how often the other task returned a result before; 0: the id is unchanged.
    """
    return f"{task_id}-again-{returned}" if returned else task_id


def replace_result(task: Any, returned: int, *, has_run: bool) -> None:
    """Let the running task replace its earlier result, and give the tasks that follow new ids.

    The task is removed from its chord, which has counted the earlier result and cannot count another one.

    :param returned: how often the task returned a result before.
    :param has_run: whether the chain and the callbacks have run before; otherwise only the error callbacks have.
    """
    request = task.request
    try:
        task.backend.forget(request.id)  # Celery keeps a result that is stored as a success
    except Exception as exc:
        extra = {"task_id": request.id}
        logger.warning("the former result of %s is still stored: %r", task.name, exc, extra=extra)
    request.chord = None
    request.errbacks = _followers(request.errbacks, returned)
    following = returned if has_run else 0
    request.chain = _followers(request.chain, following)
    request.callbacks = _followers(request.callbacks, following)


def _followers(signatures: Sequence[Any] | None, returned: int) -> list[Any]:
    """Return copies of signatures with the ids of :func:`follower_id`, and without their chord."""

    def renamed(signature: Mapping[str, Any]) -> dict[str, Any]:
        options = dict(signature["options"])
        for name in ("task_id", "group_id"):
            if options.get(name):
                options[name] = follower_id(options[name], returned)
        return options

    found: list[Any] = _with_options(maybe_list(signatures) or [], renamed)
    for signature in found:
        signature["options"].pop("chord", None)
    return found


def result_delay(number: int) -> float:
    """Return the seconds until the next attempt to store a result, after ``number`` deliveries (from 1)."""
    return _DELAYS_SECONDS[min(number, len(_DELAYS_SECONDS)) - 1]
