"""Format a task's arguments and result for Flower, ``celery inspect`` and a worker's log. Pure.

Celery shows the arguments unchanged: whole inputs with their data URIs, outcomes with their URLs, a
receiver's secret path. These functions return one readable line, and only the status of a result.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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

    Any sender may have made the message, so any type is accepted.
    """
    values = args if isinstance(args, Sequence) and not isinstance(args, str) else ()
    given = arguments_by_name(task_name, values, kwargs if isinstance(kwargs, Mapping) else {})
    return _LINES.get(task_name, "…").format_map(_Arguments(given))


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

    ``None`` is returned unchanged. Return ``…`` for every other result, because it may contain a URL.
    """
    status = _STATUS.search(text)
    if text.startswith("{") and status:
        return status[1]
    return text if text == "None" else "…"


def is_ours(shown: str) -> bool:
    """Return whether this module formatted a line. (The lines of Celery begin with a bracket.)"""
    return bool(shown) and not shown.startswith(("(", "[", "{"))


_LINES = {
    "mulequeue.generate": "{model}{input}",
    "mulequeue.generate_from": "{model}{input} ← {previous}",
    "mulequeue.adopt": "{api_path} {remote_id}",
    "mulequeue.download": "{outcome}",
    "mulequeue.attach": "{outcome} → {model}.{field}",
    "mulequeue.each": "{outcome} → {call}",
    "mulequeue.notify": "{value} → {target}",
    "mulequeue.generate_many": "{model}{inputs}",
    "mulequeue.gather": "{results}",
    "mulequeue.poll": "one for all that is due",
}


class _Arguments(dict[str, Any]):
    """The arguments of a call by name, each formatted for a line of ``_LINES``."""

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if name == "input":
            return _prompt(self.get("model"), value)
        if name == "inputs":
            return f": {len(value)} inputs" if isinstance(value, (list, tuple)) else ""
        if name == "target":
            return _host(value)
        if name == "call":
            return _word(value.get("task") if isinstance(value, Mapping) else None)
        return _outcomes(value)


def _outcomes(value: Any) -> str:
    """Return task id and status of an outcome, the length of a list, or another value as a word."""
    if isinstance(value, Mapping):
        return f"{_word(value.get('task_id'))} {_word(value.get('status'))}"
    if isinstance(value, (list, tuple)):
        return f"{len(value)} generations"
    return _word(value)


def _prompt(model: Any, given: Any) -> str:
    """Return a colon and the start of the prompt, or an empty text if the input has no prompt."""
    try:
        field = catalog.find(model).prompt_field
    except (InputError, TypeError, AttributeError):
        field = "prompt"
    text = given.get(field) if isinstance(given, Mapping) else None
    if not isinstance(text, str) or text.lstrip()[:5].lower() == "data:":
        return ""
    line = _cut(" ".join(text[: 10 * PROMPT_LENGTH].split()), PROMPT_LENGTH)
    return f": {line}" if line else ""


def _host(target: Any) -> str:
    """Return the host of a receiver's URL only, because the path often contains a secret."""
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
