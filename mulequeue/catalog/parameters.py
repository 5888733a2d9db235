"""What a model takes, as the API's pages and its clients tell it.

In a vendor's file a parameter is a table under ``[models.parameters]``, or under ``[groups.NAME]``
for the models that list the group; ``like`` takes those of another path. Its keys are the attributes
of :class:`Parameter`; ``list``, ``range`` (numbers), ``length`` (characters) and ``count`` (items)
are short for some of them. The rules between parameters are those of :class:`Rules`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, get_args

Type = Literal["text", "integer", "number", "boolean", "file", "size", "object", "any"]
TYPES: tuple[Type, ...] = get_args(Type)
Form = Literal["url", "https", "data", "base64"]
_ANY_FORM: tuple[Form, ...] = ("url", "data", "base64")
_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One field of an input."""

    name: str
    type: Type = "text"
    """``file`` is text: a URL, a data URI or base64; ``size`` is text like ``1280*720``."""
    is_list: bool = False
    """Whether it takes a list of such values."""
    is_required: bool = False
    values: tuple[Any, ...] = ()
    """The values all sources allow; empty: any of the type."""
    doubtful: tuple[Any, ...] = ()
    """Values that only some sources allow."""
    besides: tuple[Any, ...] = ()
    """Values allowed outside of the range, such as -1 for "let the model choose"."""
    low: float = -math.inf
    """Least number, or fewest characters of a text."""
    high: float = math.inf
    """Greatest number, or most characters of a text."""
    agreed: float = math.inf
    """Up to which number, or so many characters, the sources agree."""
    fewest: float = 0
    """Items of a list."""
    most: float = math.inf
    """Items of a list."""
    separators: str = "*"
    """What may stand between width and height of a size."""
    sides: tuple[int, int] | None = None
    """Least and greatest width and height of a size, in pixels."""
    pixels: tuple[int, int] | None = None
    """Least and greatest width times height of a size."""
    ratio: tuple[float, float] | None = None
    """Least and greatest width by height of a size."""
    forms: tuple[Form, ...] = _ANY_FORM
    """What a file is given as: ``url`` (http or https), ``https``, ``data``, ``base64``."""
    fields: Mapping[str, Parameter] = field(default_factory=lambda: _NOTHING)
    """The fields of an object."""
    ignored: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    """Fields of an object that the API silently drops -> what to use."""
    is_open: bool = False
    """Whether an object may have fields that no source lists."""
    default: Any = None
    """What the API takes if it is not given; None: not known, or the sources differ."""
    note: str = ""
    conflict: str = ""
    """Where the sources differ about the parameter; using it is worth a warning."""
    absent: str = ""
    """Why leaving it out is worth a warning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the parameters of a model have to do with each other."""

    any_of: tuple[tuple[tuple[str, ...], ...], ...] = ()
    """Each a choice of groups, one of which has to be given whole."""
    apart: tuple[tuple[str, ...], ...] = ()
    """Groups that exclude each other."""
    needs: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    """Parameter -> another that it is nothing without."""
    when: tuple[tuple[Mapping[str, Any], Mapping[str, Any]], ...] = ()
    """Given these values (none listed: any), those parameters have one of those values."""
    together: tuple[tuple[tuple[str, ...], int], ...] = ()
    """Parameters whose items are counted together, and how many there may be."""
    sums: tuple[tuple[str, str, str], ...] = ()
    """A list of objects, a field of them, and the parameter it adds up to."""
    ignored: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    """Names that the API silently ignores -> what to use."""
    is_open: bool = False
    """Whether the sources may have left out parameters, so that an unknown name proves nothing."""


def parameters_in(
    table: Mapping[str, Any],
    groups: Mapping[str, Any],
    required: tuple[str, ...],
    prompt_field: str,
) -> dict[str, Parameter]:
    """The parameters of one entry of a vendor's file: the required ones, the prompt, the others."""
    tables: dict[str, Any] = {}
    for group in table.get("groups", ()):
        tables |= groups[group]
    tables |= table.get("parameters", {})
    first = [name for name in (*required, prompt_field) if name in tables]
    names = dict.fromkeys([*first, *tables])
    return {name: _parameter(name, tables[name], name in required) for name in names}


def rules_in(table: Mapping[str, Any]) -> Rules:
    """The rules of one entry of a vendor's file."""
    return Rules(
        any_of=tuple(_tuples(choice) for choice in table.get("any_of", ())),
        apart=_tuples(table.get("apart", ())),
        needs=table.get("needs", _NOTHING),
        when=tuple((rule["given"], rule["then"]) for rule in table.get("when", ())),
        together=tuple((tuple(rule["fields"]), rule["most"]) for rule in table.get("together", ())),
        sums=tuple((rule["list"], rule["item"], rule["equals"]) for rule in table.get("sums", ())),
        ignored=table.get("ignored", _NOTHING),
        is_open=table.get("is_open", False),
    )


def _tuples(lists: Any) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(item) for item in lists)


def _parameter(name: str, table: Mapping[str, Any], is_required: bool) -> Parameter:
    """A parameter as its table has it, with the short keys spelled out."""
    given = dict(table)
    low, high = given.pop("range", None) or given.pop("length", (-math.inf, math.inf))
    fewest, most = given.pop("count", (0, math.inf))
    for key in ("values", "doubtful", "besides", "forms", "sides", "pixels", "ratio"):
        if key in given:
            given[key] = tuple(given[key])
    if "fields" in given:
        given["fields"] = {
            key: _parameter(key, inner, inner.get("required", False))
            for key, inner in given["fields"].items()
        }
    given.pop("required", None)
    return Parameter(
        name=name,
        is_list=given.pop("list", False),
        is_required=is_required,
        low=low,
        high=high,
        fewest=fewest,
        most=most,
        **given,
    )
