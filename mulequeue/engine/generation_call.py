"""A call of a generating task, as its message states it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import Any
from uuid import UUID

from mulequeue.engine.call_values import check_task_id
from mulequeue.errors import InputError
from mulequeue.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """The options of a call of ``generate``, as the caller gave them."""

    profile: str | None = None
    max_wait: float | None = None
    poll_interval: float | None = None
    on_failure: str = "raise"
    batch_id: str | UUID | None = None
    batch_size: int | None = None
    validate: str | None = None
    metadata: Mapping[str, Any] | None = None
    fair_key: str | None = None

    @property
    def batch(self) -> tuple[str | None, int | None]:
        """Return id and size of the batch.

        :raises InputError: the id is no id, or the size is no number of generations.
        """
        size = self.batch_size
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
            raise InputError(f"batch_size is {size!r}; it must be a whole number above 0.")
        batch_id = self.batch_id
        return None if batch_id is None else check_task_id(batch_id, "batch_id"), size


OPTION_NAMES = frozenset(item.name for item in fields(CallOptions))


def check_option_names(function: str, names: Collection[str]) -> None:
    """Check the names of the options that a function passes on to ``generate``.

    :raises InputError: ``generate`` has no such option.
    """
    for unknown in sorted(set(names) - OPTION_NAMES):
        raise InputError(f"{function} has no argument {unknown!r}. Remove it.")


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationCall:
    """A call of ``generate``, ``generate_from`` or ``adopt``."""

    model: str
    make_input: Callable[[], Any] = dict
    """Returns the input; an InputError of it becomes the outcome."""
    refresh_input: Callable[[Settings], Any] | None = None
    """Returns the input just before it is sent; None: as ``make_input`` returned it."""
    options: CallOptions = CallOptions()
    replaced: Mapping[str, Any] = field(default_factory=dict)
    """Values of arguments in the message that wakes the task: the input is not needed again."""
    remote_id: str | None = None
    """Of an existing generation: no create request is sent."""
