"""The parameters of a model, as the API's documentation and its clients (the *sources*) describe them.

In a vendor's file a parameter is a table under ``[models.parameters]``, or under ``[groups.NAME]``
for the models that list the group; ``like`` copies the parameters of another path. The keys of the table are the
attributes of :class:`Parameter`. Short forms are ``list`` (``is_list``), ``required`` (``is_required``, in an
object), ``range`` and ``length`` (``low`` and ``high``), and ``count`` (``fewest`` and ``most``).
The keys of :class:`Rules` describe the rules between parameters.
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
_ANY_NUMBER = (-math.inf, math.inf)
_EMPTY: Mapping[str, Any] = MappingProxyType({})

LIST_FIELDS = frozenset(
    {"images", "videos", "audios", "video_urls", "obj_or_bg", "ref_images_url"}
    | {f"reference_{media}" for media in ("images", "videos", "audios")}
)
"""Input fields that take a list of URLs."""

FILE_KEY = "$file"
"""Key of the object that :func:`mulequeue.file` returns: ``{"$file": path or URL}``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One field of an input."""

    name: str
    type: Type = "text"
    """``file`` is text: a URL, a data URI or base64; ``size`` is text like ``1280*720``."""
    is_list: bool = False
    """True: the parameter takes a list of values of this type."""
    is_required: bool = False
    values: tuple[Any, ...] = ()
    """Values that all sources allow; empty: any value of the type."""
    doubtful: tuple[Any, ...] = ()
    """Values that only some sources allow."""
    besides: tuple[Any, ...] = ()
    """Values allowed outside of the range, such as -1 for "let the model choose"."""
    low: float = -math.inf
    """Minimum of a number, or of a text's length in characters."""
    high: float = math.inf
    """Maximum of a number, or of a text's length in characters."""
    agreed: float = math.inf
    """Maximum that all sources allow; about values between ``agreed`` and ``high`` the sources differ."""
    fewest: float = 0
    """Minimum number of items of a list."""
    most: float = math.inf
    """Maximum number of items of a list."""
    separators: str = "*"
    """Characters allowed between width and height of a size."""
    sides: tuple[int, int] | None = None
    """Minimum and maximum of both width and height of a size, in pixels."""
    pixels: tuple[int, int] | None = None
    """Minimum and maximum of width times height of a size, in pixels."""
    ratio: tuple[float, float] | None = None
    """Minimum and maximum of width divided by height of a size."""
    forms: tuple[Form, ...] = _ANY_FORM
    """Accepted forms of a file: ``url`` (http or https), ``https``, ``data``, ``base64``."""
    fields: Mapping[str, Parameter] = field(default_factory=lambda: _EMPTY)
    """The fields of an object."""
    ignored: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    """Fields of an object that the API ignores -> the name to use instead."""
    is_open: bool = False
    """True: an object may have fields that no source lists."""
    default: Any = None
    """Value that the API uses if none is given; None: the default is unknown, or the sources differ."""
    note: str = ""
    conflict: str = ""
    """How the sources differ about the parameter; an input with the parameter gives a warning with this text."""
    absent: str = ""
    """Effect of a missing parameter; an input without the parameter gives a warning with this text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Rules between the parameters of a model."""

    any_of: tuple[tuple[tuple[str, ...], ...], ...] = ()
    """Choices between groups of parameters; of each choice, at least one group must be given completely."""
    apart: tuple[tuple[str, ...], ...] = ()
    """Groups of parameters; an input may have parameters of one group only."""
    needs: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    """Parameter -> another parameter that it requires."""
    when: tuple[tuple[Mapping[str, Any], Mapping[str, Any]], ...] = ()
    """Pairs of a condition (parameter -> values; no values: any value) and what it requires (parameter -> allowed
    values)."""
    together: tuple[tuple[tuple[str, ...], int], ...] = ()
    """Parameters whose items are counted together, and the maximum of the count."""
    sums: tuple[tuple[str, str, str], ...] = ()
    """A parameter that is a list of objects, a numeric field of these objects, and the parameter that must equal
    the sum of the field."""
    ignored: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    """Names that the API ignores -> the name to use instead."""
    is_open: bool = False
    """True: the sources may be incomplete, so an unknown name gives a warning, not an error."""


def parameters_in(
    table: Mapping[str, Any],
    groups: Mapping[str, Any],
    required: tuple[str, ...],
    prompt_field: str,
) -> dict[str, Parameter]:
    """Return the parameters of one entry of a vendor's file by name: required ones, the prompt, the others."""
    tables: dict[str, Any] = {}
    for group in table.get("groups", ()):
        tables |= groups[group]
    tables |= table.get("parameters", {})
    first = [name for name in (*required, prompt_field) if name in tables]
    names = dict.fromkeys([*first, *tables])
    return {name: _parameter(name, tables[name], name in required) for name in names}


def rules_in(table: Mapping[str, Any]) -> Rules:
    """Return the rules of one entry of a vendor's file."""
    return Rules(
        any_of=tuple(_tuples(choice) for choice in table.get("any_of", ())),
        apart=_tuples(table.get("apart", ())),
        needs=table.get("needs", _EMPTY),
        when=tuple((rule["given"], rule["then"]) for rule in table.get("when", ())),
        together=tuple((tuple(rule["fields"]), rule["most"]) for rule in table.get("together", ())),
        sums=tuple((rule["list"], rule["item"], rule["equals"]) for rule in table.get("sums", ())),
        ignored=table.get("ignored", _EMPTY),
        is_open=table.get("is_open", False),
    )


def _tuples(lists: Any) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(item) for item in lists)


def _parameter(name: str, table: Mapping[str, Any], is_required: bool) -> Parameter:
    """Return a parameter from its table, with the short forms expanded."""
    given: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in table.items()
    }
    given["low"], given["high"] = given.pop("range", None) or given.pop("length", _ANY_NUMBER)
    given["fewest"], given["most"] = given.pop("count", (0, math.inf))
    given["is_list"] = given.pop("list", False)
    given["fields"] = {
        key: _parameter(key, inner, inner.get("required", False))
        for key, inner in given.pop("fields", {}).items()
    }
    given.pop("required", None)
    return Parameter(name=name, is_required=is_required, **given)
