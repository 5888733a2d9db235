"""Format a task's arguments and result for Flower, ``celery inspect`` and a worker's log. Pure.

Celery shows the arguments unchanged: whole inputs with their data URIs, outcomes with their URLs, a
receiver's secret path. These functions return one readable line, and only the status of a result.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from mulequeue import catalog
from mulequeue.catalog.valid_text import valid_text
from mulequeue.engine.call_arguments import arguments_by_name
from mulequeue.errors import InputError
from mulequeue.net.address_guard import redact_url

PROMPT_LENGTH = 60
_WORD_LENGTH = 100
# No other keyword argument is shown.
_OPTIONS = (
    *("profile", "max_wait", "poll_interval", "on_failure", "batch_id"),
    *("use", "index", "storage", "path", "pk"),
)
_STATUS = re.compile(r"'status': '(\w+)'")


def format_args(task_name: str, args: Any, kwargs: Any) -> str:
    """Return a call's arguments in one line: ``alibaba/wan2.6-t2i: a mule at dawn``.

    :param args, kwargs: of the message; any sender may have made it, so any type is accepted.
    """
    values = args if isinstance(args, Sequence) and not isinstance(args, str) else ()
    given = arguments_by_name(task_name, values, kwargs if isinstance(kwargs, Mapping) else {})
    show = _LINES.get(task_name)
    return show(given) if show is not None else "…"


def format_kwargs(kwargs: Any) -> str:
    """Return the options of a call: ``on_failure=return, batch_id=b1``."""
    given = kwargs if isinstance(kwargs, Mapping) else {}
    pairs = []
    for name in _OPTIONS:
        value = given.get(name)
        if value is not None:
            text = redact_url(value) if name == "storage" and isinstance(value, str) else value
            pairs.append(f"{name}={_word(text)}")
    return ", ".join(pairs)


def format_result(text: str) -> str:
    """Return the status in the (truncated) repr of a result: ``succeeded``.

    Return ``…`` for lists (of a batch) and for everything else that may contain a URL.
    """
    status = _STATUS.search(text)
    if text.startswith("{") and status:
        return status[1]
    return text if text == "None" else "…"


def is_ours(shown: str) -> bool:
    """Return whether a line was formatted here, not by Celery (whose lines are tuples, lists, dicts)."""
    return bool(shown) and not shown.startswith(("(", "[", "{"))


def _generate(given: Mapping[str, Any]) -> str:
    model = _word(given.get("model"))
    prompt = _prompt(given.get("model"), given.get("input"))
    return f"{model}: {prompt}" if prompt else model


def _generate_from(given: Mapping[str, Any]) -> str:
    return f"{_generate(given)} ← {_whose(given.get('previous'))}"


def _adopt(given: Mapping[str, Any]) -> str:
    return f"{_word(given.get('api_path'))} {_word(given.get('remote_id'))}"


def _download(given: Mapping[str, Any]) -> str:
    return _whose(given.get("outcome"))


def _attach(given: Mapping[str, Any]) -> str:
    field = ".".join(_word(given.get(name)) for name in ("model", "field"))
    return f"{_whose(given.get('outcome'))} → {field}"


def _each(given: Mapping[str, Any]) -> str:
    call = given.get("call")
    name = call.get("task") if isinstance(call, Mapping) else None
    return f"{_whose(given.get('outcome'))} → {_word(name)}"


def _notify(given: Mapping[str, Any]) -> str:
    target = given.get("target")
    return f"{_whose(given.get('value'))} → {_host(target)}"


def _generate_many(given: Mapping[str, Any]) -> str:
    inputs = given.get("inputs")
    size = f": {len(inputs)} inputs" if isinstance(inputs, (list, tuple)) else ""
    return f"{_word(given.get('model'))}{size}"


def _gather(given: Mapping[str, Any]) -> str:
    return _whose(given.get("results"))


_LINES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "mulequeue.generate": _generate,
    "mulequeue.generate_from": _generate_from,
    "mulequeue.adopt": _adopt,
    "mulequeue.download": _download,
    "mulequeue.attach": _attach,
    "mulequeue.each": _each,
    "mulequeue.notify": _notify,
    "mulequeue.generate_many": _generate_many,
    "mulequeue.gather": _gather,
    "mulequeue.poll": lambda given: "one for all that is due",
}


def _whose(value: Any) -> str:
    """Return the outcomes that a task was given."""
    if isinstance(value, Mapping):
        return f"{_word(value.get('task_id'))} {_word(value.get('status'))}"
    if isinstance(value, (list, tuple)):
        return f"{len(value)} generations"
    return _word(value)


def _prompt(model: Any, given: Any) -> str:
    try:
        field = catalog.find(model).prompt_field
    except (InputError, TypeError, AttributeError):
        field = "prompt"
    text = given.get(field) if isinstance(given, Mapping) else None
    if not isinstance(text, str) or text.lstrip()[:5].lower() == "data:":
        return ""
    return _cut(" ".join(text[: 10 * PROMPT_LENGTH].split()), PROMPT_LENGTH)


def _host(target: Any) -> str:
    """Return the host only: the path of a receiver's URL is often its secret."""
    try:
        return urlsplit(target).hostname or "…"
    except (ValueError, TypeError, AttributeError):
        return "…"


def _word(value: Any) -> str:
    if value is None:
        return "…"
    if isinstance(value, (str, int, float)):
        # Lines that Celery formats begin with a bracket.
        return _cut(str(value).lstrip("([{ "), _WORD_LENGTH) or "…"
    return type(value).__name__


def _cut(text: str, length: int) -> str:
    text = valid_text(text)
    return text if len(text) <= length else text[: length - 1] + "…"
