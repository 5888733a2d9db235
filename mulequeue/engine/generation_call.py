"""The call of a generating task as its message contains it, and checks of its ids, fair key and metadata.

Processes that only send tasks load this module, so it imports no HTTP client and no storage.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from mulequeue.errors import InputError
from mulequeue.settings import Settings

RESERVED_PREFIXES = ("transfer:", "gate:")
"""The ledger uses these prefixes for entries that are not generations."""
_MAX_CHARACTERS = 200

MAX_FAIR_KEY_BYTES = 64
"""Bytes of its UTF-8. Redis stores a small hash in half the memory if none of its values is longer."""
MAX_METADATA_BYTES = 1024
"""Bytes of the JSON of a metadata object, which Redis keeps with the record, by default for seven days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """The options of a call of ``generate``, as the caller gave them."""

    profile: str | None = None
    max_wait: float | None = None
    poll_interval: float | None = None
    on_failure: str = "raise"
    batch_id: str | uuid.UUID | None = None
    batch_size: int | None = None
    validate: str | None = None
    metadata: Mapping[str, Any] | None = None
    fair_key: str | None = None

    @property
    def batch(self) -> tuple[str | None, int | None]:
        """Return id and size of the batch.

        :raises InputError: the id is neither text nor a UUID or has a reserved prefix, or the size is not a whole
            number above 0.
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
    """Returns the input. If it raises InputError, the generation fails with that error."""
    refresh_input: Callable[[Settings], Any] | None = None
    """Returns the input just before it is sent; None: the input of ``make_input`` is sent."""
    options: CallOptions = CallOptions()
    replaced: Mapping[str, Any] = field(default_factory=dict)
    """Arguments, by name, that have other values in the message that wakes the task. It needs no input."""
    remote_id: str | None = None
    """Id of an existing generation, for which no create request is sent; None: create one."""


def id_text(value: Any, name: str = "task_id") -> str:
    """Return an id as text.

    :param name: of the argument, for the text of the error.
    :raises InputError: ``value`` is neither text nor a UUID.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, uuid.UUID):
        return str(value)
    raise InputError(
        f"{name} is {value!r}, of type {type(value).__name__}; it must be text or a UUID. "
        f"Pass {name}=str(…)."
    )


def check_task_id(value: Any, name: str = "task_id") -> str:
    """Return the id of a generating task or of a batch as text.

    :param name: of the argument, for the text of the error.
    :raises InputError: ``value`` is neither text nor a UUID, or the ledger uses its prefix.
    """
    text = id_text(value, name)
    if text.startswith(RESERVED_PREFIXES):
        raise InputError(
            f"{name} must not start with {' or '.join(map(repr, RESERVED_PREFIXES))}, which the ledger "
            "uses for other entries. Choose another id."
        )
    return text


def check_remote_id(value: Any) -> str:
    """Return the API's id of an existing generation as text.

    :raises InputError: ``value`` is neither text nor a UUID, is empty, has more than 200 characters, a space or a
        control character, or is a path or URL.
    """
    text = id_text(value, "remote_id")
    if not 0 < len(text) <= _MAX_CHARACTERS or not text.isprintable() or " " in text:
        problem = (
            f"it must have 1 to {_MAX_CHARACTERS} characters, without spaces and control characters"
        )
    elif text.startswith("/") or "://" in text:
        problem = "pass the id alone; the path is the argument before it"
    else:
        return text
    raise InputError(f"remote_id {text[:_MAX_CHARACTERS]!r} cannot be asked for: {problem}.")


def check_fair_key(value: Any) -> str | None:
    """Return the fair key of a call; None: it has none.

    :raises InputError: ``value`` is not printable text of 1 to ``MAX_FAIR_KEY_BYTES`` bytes, or has only spaces.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise InputError(
            f"fair_key is of type {type(value).__name__}; it must be text. Pass fair_key=str(…), such as "
            "the id of a customer."
        )
    if not value.strip() or not value.isprintable() or len(value.encode()) > MAX_FAIR_KEY_BYTES:
        raise InputError(
            f"fair_key is {value[:MAX_FAIR_KEY_BYTES]!r}; it must be printable text of 1 to "
            f"{MAX_FAIR_KEY_BYTES} bytes. Use a short id, such as that of a customer."
        )
    return value


def check_metadata(value: Any) -> Mapping[str, Any]:
    """Return the metadata of a call; empty for None.

    :raises InputError: ``value`` is not a JSON object, or has more than ``MAX_METADATA_BYTES`` bytes as JSON.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InputError(
            'metadata must be an object (a dict with text as keys), such as {"sku": "A-1"}.'
        )
    size = len(metadata_json(value).encode())
    if size > MAX_METADATA_BYTES:
        raise InputError(
            f"metadata has {size:,} bytes as JSON; at most {MAX_METADATA_BYTES:,} are kept. Keep an id "
            "in it, and the rest in your own database."
        )
    return value


def member_metadata(value: Any, count: int) -> list[Mapping[str, Any]]:
    """Return the metadata of each member of a batch.

    :param value: one object for all members, or a list with one object per member.
    :raises InputError: an object is invalid (the text has its index), or the list does not have ``count`` objects.
    """
    if value is None or isinstance(value, Mapping):
        return [check_metadata(value)] * count
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != count:
        given = f"{len(value)} objects" if isinstance(value, list) else type(value).__name__
        raise InputError(
            f"metadata is {given} for {count} inputs. Give one object for all, or a list with one per "
            "input."
        )
    checked = []
    for index, item in enumerate(value):
        try:
            checked.append(check_metadata(item))
        except InputError as exc:
            raise InputError(f"metadata[{index}]: {exc}") from None
    return checked


def metadata_json(value: Mapping[str, Any]) -> str:
    """Return the metadata as the JSON text that its record keeps; an empty text for empty metadata.

    :raises InputError: the metadata cannot be written as JSON.
    """
    if not value:
        return ""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode()
    except (TypeError, ValueError, RecursionError) as exc:
        raise InputError(
            f"metadata cannot be written as JSON: {exc}. Use text and numbers."
        ) from None
    return text
