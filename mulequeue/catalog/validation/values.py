"""Validation of one value against its parameter."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from mulequeue.catalog.parameters import FILE_KEY, Parameter
from mulequeue.catalog.validation.files import wrong_file
from mulequeue.catalog.validation.finding import (
    SOURCES,
    Finding,
    nearest,
    quote_value,
    unknown_name,
)

_WORDS = {
    "text": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "size": "a size such as '1280*720'",
    "object": "an object",
}


def is_given(value: Any) -> bool:
    """Return True unless the value is None, an empty text or an empty list."""
    return value is not None and value != "" and value != [] and value != ()


def wrong_fields(
    fields: Mapping[str, Parameter],
    ignored: Mapping[str, str],
    given: Mapping[str, Any],
    *,
    is_open: bool,
    prefix: str = "",
) -> Iterator[Finding]:
    """Yield the findings about the fields of an object: the whole input, or an object in it.

    :param ignored: names that the API ignores -> the name to use instead.
    :param is_open: True if there may be fields that no source lists.
    :param prefix: path of the object, such as ``voice_setting.``; empty for the input.
    """
    for name, value in given.items():
        where, parameter = f"{prefix}{name}", fields.get(name)
        if value is None:
            continue
        if parameter is None:
            yield unknown_name(name, fields, ignored, is_open=is_open, prefix=prefix)
            continue
        if parameter.conflict:
            yield Finding(where, f"{SOURCES} differ about '{where}': {parameter.conflict}")
        if is_given(value) or not parameter.is_required:
            yield from wrong_value(parameter, value, where)
    for name, parameter in fields.items():
        where = f"{prefix}{name}"
        if parameter.is_required and not is_given(given.get(name)):
            yield Finding(where, f"'{where}' is missing", is_certain=True)
        elif parameter.absent and name not in given:
            yield Finding(where, f"'{where}' is not given: {parameter.absent}")


def wrong_value(parameter: Parameter, value: Any, where: str) -> Iterator[Finding]:
    """Yield the findings about one value.

    :param where: name of the value in messages, such as ``images`` or ``voice_setting.speed``.
    """
    if not parameter.is_list:
        yield from _wrong_item(parameter, value, where)
        return
    if not isinstance(value, (list, tuple)):
        text = f"'{where}' takes a list, not {_describe(value)}; put it into [ ]"
        yield Finding(where, text, is_certain=True)
        return
    if not parameter.fewest <= len(value) <= parameter.most:
        text = f"'{where}' takes {_span(parameter.fewest, parameter.most)} items, not {len(value)}"
        yield Finding(where, text, is_certain=True)
    for index, item in enumerate(value):
        yield from _wrong_item(parameter, item, f"{where}[{index}]")


def _wrong_item(parameter: Parameter, value: Any, where: str) -> Iterator[Finding]:
    if is_one_of(value, parameter.values) or is_one_of(value, parameter.besides):
        return
    if is_one_of(value, parameter.doubtful):
        yield Finding(where, f"{SOURCES} differ about {quote_value(value)} for '{where}'")
    elif parameter.type == "file":
        yield from wrong_file(parameter, value, where)
    elif not _is_of_type(parameter.type, value):
        yield Finding(where, _wrong_type(parameter.type, value, where), is_certain=True)
    elif parameter.values:
        yield Finding(where, _no_such_value(parameter, value, where), is_certain=True)
    elif parameter.type == "object":
        fields, is_open = parameter.fields, parameter.is_open
        yield from wrong_fields(
            fields, parameter.ignored, value, is_open=is_open, prefix=f"{where}."
        )
    elif parameter.type == "size":
        yield from _wrong_size(parameter, value, where)
    elif parameter.type == "text":
        yield from _out_of_range(parameter, len(value), where, unit=" characters")
    elif parameter.type in ("integer", "number"):
        yield from _out_of_range(parameter, value, where)


def is_one_of(value: Any, values: tuple[Any, ...]) -> bool:
    """Return True if ``value`` is one of ``values``. ``True`` does not equal 1, and ``"8"`` does not equal 8."""
    return any(
        value == item
        and isinstance(value, bool) is isinstance(item, bool)
        and isinstance(value, str) is isinstance(item, str)
        for item in values
    )


def _is_of_type(name: str, value: Any) -> bool:
    if name == "any":
        return True
    if name in ("text", "size"):
        return isinstance(value, str)
    if name == "boolean":
        return isinstance(value, bool)
    if name == "object":
        return isinstance(value, Mapping) and FILE_KEY not in value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    # 5.0 is a whole number in JSON.
    return name == "number" or isinstance(value, int) or value.is_integer()


def _wrong_type(name: str, value: Any, where: str) -> str:
    text = f"'{where}' takes {_WORDS[name]}, not {_describe(value)}"
    if isinstance(value, Mapping) and FILE_KEY in value:
        return text
    if isinstance(value, str) and name in ("integer", "number", "boolean"):
        return f"{text}; write it without quotes"
    if name == "text" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return f'{text}; write "{quote_value(value)}"'
    return text


def _describe(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a file" if FILE_KEY in value else "an object"
    if isinstance(value, (list, tuple)):
        return "a list"
    return f"the text {quote_value(value)}" if isinstance(value, str) else quote_value(value)


def _no_such_value(parameter: Parameter, value: Any, where: str) -> str:
    known = [*parameter.values, *parameter.doubtful]
    by_text = {str(item).lower().replace("*", "x"): item for item in reversed(known)}
    near = nearest(str(value).lower().replace("*", "x"), by_text)
    hint = (
        f"; did you mean {quote_value(by_text[near[0]])}?"
        if near and isinstance(value, str)
        else ""
    )
    choice = ", ".join(quote_value(item) for item in known)
    return f"'{where}' cannot be {quote_value(value)}{hint or ':'} it takes {choice}"


def _out_of_range(
    parameter: Parameter, number: float, where: str, unit: str = ""
) -> Iterator[Finding]:
    problem = f"has {number}{unit}" if unit else f"cannot be {quote_value(number)}"
    if not parameter.low <= number <= parameter.high:
        besides = "".join(f"{quote_value(item)} or " for item in parameter.besides)
        allowed = f"{besides}{_span(parameter.low, parameter.high)}{unit}"
        yield Finding(where, f"'{where}' {problem}; it takes {allowed}", is_certain=True)
    elif number > parameter.agreed:
        limits = f"{parameter.agreed:g} or {parameter.high:g}{unit}"
        yield Finding(where, f"'{where}' {problem}; {SOURCES} differ: at most {limits}")


def _span(low: float, high: float) -> str:
    if math.isinf(high):
        return f"{low:g} or more"
    if math.isinf(low) or low == 0:
        return f"at most {high:.15g}"
    return f"{low:.15g} to {high:.15g}"


def _wrong_size(parameter: Parameter, value: str, where: str) -> Iterator[Finding]:
    found = re.fullmatch(rf"([0-9]{{1,6}})[{re.escape(parameter.separators)}]([0-9]{{1,6}})", value)
    if found is None:
        other = re.fullmatch(r"\s*([0-9]{1,6})\s*\D\s*([0-9]{1,6})\s*", value)
        example = "*".join(other.groups()) if other else "1280*720"
        text = f"'{where}' cannot be {quote_value(value)}; write width and height as '{example}'"
        yield Finding(where, text, is_certain=True)
        return
    width, height = int(found[1]), int(found[2])
    problem = _wrong_pixels(parameter, width, height)
    if problem:
        yield Finding(
            where, f"'{where}' cannot be {quote_value(value)}: {problem}", is_certain=True
        )


def _wrong_pixels(parameter: Parameter, width: int, height: int) -> str | None:
    if not width or not height:
        return "width and height must be above 0"
    if parameter.sides and not all(
        parameter.sides[0] <= side <= parameter.sides[1] for side in (width, height)
    ):
        return f"each side must have {_span(*parameter.sides)} pixels"
    if parameter.pixels and not parameter.pixels[0] <= width * height <= parameter.pixels[1]:
        low, high = (math.isqrt(most) for most in parameter.pixels)
        return f"width times height must be between {low}*{low} and {high}*{high} pixels"
    if parameter.ratio and not parameter.ratio[0] <= width / height <= parameter.ratio[1]:
        return f"width divided by height must be {_span(*parameter.ratio)}"
    return None
