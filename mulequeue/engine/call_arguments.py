"""Normalize the arguments of a task, because a message may pass each by position or by keyword."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

POSITIONS: Mapping[str, tuple[str, ...]] = {
    "mulequeue.generate": ("model", "input"),
    "mulequeue.generate_from": ("previous", "model", "input"),
    "mulequeue.adopt": ("api_path", "remote_id"),
    "mulequeue.download": ("outcome",),
    "mulequeue.each": ("outcome", "call"),
    "mulequeue.attach": ("outcome", "model", "field"),
    "mulequeue.notify": ("value", "target"),
    "mulequeue.generate_many": ("model", "inputs"),
    "mulequeue.gather": ("results",),
}
"""The names of the arguments that a task accepts by position, in order."""


def arguments_by_name(
    task_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """Return all arguments of a call by name. If one is given twice, the positional value is used."""
    return {**kwargs, **dict(zip(POSITIONS.get(task_name, ()), args, strict=False))}


def normalize_arguments(
    task_name: str, args: Sequence[Any], kwargs: Mapping[str, Any], **replaced: Any
) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments of a call in one form: those in ``POSITIONS`` by position, the others by keyword.

    :param replaced: arguments, by name, that replace those of the call.
    """
    names = POSITIONS.get(task_name, ())
    rest = {**arguments_by_name(task_name, args, kwargs), **replaced}
    given: list[Any] = []
    for name in names:
        if name not in rest:
            break
        given.append(rest.pop(name))
    return [*given, *args[len(names) :]], rest
