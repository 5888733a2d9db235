"""Parse JSON objects into dataclasses; errors name the wrong key and list the known ones."""

from __future__ import annotations

import types
import typing
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar

T = TypeVar("T")


def parse(cls: type[T], data: Any, where: str) -> T:
    """Return ``data`` as an instance of the dataclass ``cls``, including nested dataclasses and lists.

    :param where: the place named in errors: ``faults`` or ``faults.creates[0]``.
    :raises ValueError: ``data`` is not an object, a key is unknown or missing, or a value is invalid.
    """
    values = parse_fields(cls, data, where)
    for item in fields(cls):  # type: ignore[arg-type]
        if item.default is MISSING and item.default_factory is MISSING and item.name not in values:
            raise ValueError(f"{where} needs {item.name!r}")
    return cls(**values)


def parse_fields(cls: type[Any], data: Any, where: str) -> dict[str, Any]:
    """Return the keys of ``data`` with converted values; keys that are missing get no default."""
    if not isinstance(data, dict):
        raise ValueError(f"{where} must be a JSON object, not {data!r}")
    hints = _hints(cls)
    for key in data:
        if key not in hints:
            raise ValueError(f"{where} has no key {key!r}. Known: {', '.join(hints)}.")
    return {key: _value(hints[key], value, f"{where}.{key}") for key, value in data.items()}


def _hints(cls: type[Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {item.name: hints[item.name] for item in fields(cls) if item.init}


def _value(kind: Any, value: Any, where: str) -> Any:
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in parts:
            return None
        return _value(next(part for part in parts if part is not type(None)), value, where)
    if origin is typing.Literal:
        if value not in parts or isinstance(value, bool):
            choices = ", ".join(map(str, parts))
            raise ValueError(f"{where} must be one of {choices}, not {value!r}.")
        return value
    if origin is list:
        if not isinstance(value, list):
            raise ValueError(f"{where} must be a list, not {value!r}")
        return [_value(parts[0], item, f"{where}[{i}]") for i, item in enumerate(value)]
    if is_dataclass(kind):
        assert isinstance(kind, type)
        return parse(kind, value, where)
    return _scalar(kind, value, where)


def _scalar(kind: type[Any], value: Any, where: str) -> Any:
    names = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}
    accepted = (int, float) if kind is float else (kind,)
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{where} must be {names[kind]}, not {value!r}")
    if kind in (int, float) and value < 0:
        raise ValueError(f"{where} must not be negative")
    return value
