"""One model as text: its path, its parameters, its poll schedule."""

from __future__ import annotations

import json
import math
import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import click

from mulequeue.catalog import Model, Parameter
from mulequeue.catalog.validation.finding import quote_value

_WORDS = {
    "text": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "file": "file",
    "size": "size such as 1280*720",
    "object": "object",
    "any": "anything",
}
_FORMS = {"url": "URL", "https": "https URL", "data": "data URI", "base64": "base64"}
_MIN_WIDTH, _MAX_WIDTH = 50, 120


def page(model: Model) -> Iterator[str]:
    """Return the lines, wrapped at the terminal's width; in a pipe a parameter is one line."""
    width = _width()
    for name, text in _facts(model).items():
        yield from _folded(name, text, indent=12, width=width)
    yield ""
    if not model.parameters:
        yield "Its parameters are unknown, so no input is checked."
        return
    names = [*_names(model.parameters)]
    indent = 2 + max(len(name) for name in names)
    yield from _lines(model.parameters, indent, width)
    marks = "".join(names)
    legend = ["* required"] if "*" in marks else []
    legend += ["! the sources differ: a warning, not an error"] if "!" in marks else []
    if legend:
        yield ""
        yield "   ".join(legend)


def _width() -> int | None:
    if not sys.stdout.isatty():
        return None
    return min(max(shutil.get_terminal_size().columns, _MIN_WIDTH), _MAX_WIDTH)


def _folded(name: str, text: str, *, indent: int, width: int | None) -> Iterator[str]:
    if width is None:
        lines = [text]
    else:
        lines = textwrap.wrap(text, width - indent, break_on_hyphens=False) or [""]
    yield f"{name:<{indent}}{lines[0]}".rstrip()
    for line in lines[1:]:
        yield " " * indent + line


# The model


def _facts(model: Model) -> dict[str, str]:
    plan = model.schedule
    facts = {
        "name": model.name,
        "path": model.api_path,
        "makes": model.kind or "unknown: the catalog does not list this path",
        "checked": f"first after {plan.first:g} s, then {plan.factor:g} times the previous wait, "
        f"up to {plan.ceiling:g} s",
        "gives up": f"after {_duration(model.max_wait_seconds)}",
        "files last": f"{_duration(model.retention_seconds)} at the API's host",
        "note": model.note,
        "rules": "; ".join(_rules(model)),
        "ignored": ", ".join(f"{name} (use {use})" for name, use in model.rules.ignored.items()),
        "others": "may exist: the list may be incomplete, so an unknown name is only a warning"
        if model.rules.is_open
        else "",
        "try": _try(model),
    }
    return {name: text for name, text in facts.items() if text}


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:g} s"
    return f"{seconds / 60:g} min" if seconds < 3600 else f"{seconds / 3600:g} h"


def _rules(model: Model) -> Iterator[str]:
    rules = model.rules
    for choice in rules.any_of:
        yield " or ".join(" with ".join(group) for group in choice) + " is needed"
    if rules.apart:
        yield " excludes ".join("/".join(group) for group in rules.apart)
    for name, other in rules.needs.items():
        yield f"{name} needs {other}"
    for given, then in rules.when:
        wanted = " and ".join(f"{name} {values[0]}" for name, values in then.items())
        yield " and ".join(_case(*item) for item in given.items()) + f" needs {wanted}"
    for names, most in rules.together:
        yield f"{', '.join(names)}: at most {most} together"
    for name, item, equals in rules.sums:
        yield f"the {item}s of {name} add up to {equals}"


def _case(name: str, values: list[Any]) -> str:
    return f"{name} {' or '.join(str(value) for value in values)}".rstrip()


def _try(model: Model) -> str:
    """Return an example command."""
    wanted = [*model.required, *(name for choice in model.rules.any_of for name in choice[0])]
    text = f"mulequeue run {model.name}"
    if model.prompt_field in wanted or not wanted:
        text += ' "a mule at dawn"'
    for name in wanted:
        if name != model.prompt_field:
            text += f" -p {name}={_example(model.parameters[name])}"
    return text


def _example(parameter: Parameter) -> str:
    if parameter.type == "file":
        url = "https://example.com/mule"
        return f"'[\"{url}\"]'" if parameter.is_list else url
    return shlex.quote(_value(parameter.values[0])) if parameter.values else "…"


# Its parameters


def _names(parameters: Mapping[str, Parameter], prefix: str = "") -> Iterator[str]:
    for parameter in parameters.values():
        yield _marked(parameter, prefix)
        yield from _names(parameter.fields, f"{prefix}{parameter.name}.")


def _marked(parameter: Parameter, prefix: str) -> str:
    mark = "*" if parameter.is_required else ""
    return f"{prefix}{parameter.name}{mark}{'!' if _is_doubtful(parameter) else ''}"


def _is_doubtful(parameter: Parameter) -> bool:
    is_agreed = math.isinf(parameter.agreed) and not parameter.doubtful
    return not is_agreed or bool(parameter.conflict or parameter.absent)


def _lines(
    parameters: Mapping[str, Parameter], indent: int, width: int | None, prefix: str = ""
) -> Iterator[str]:
    for parameter in parameters.values():
        name = _marked(parameter, prefix)
        for index, line in enumerate(
            _folded(name, "; ".join(_notes(parameter)), indent=indent, width=width)
        ):
            yield click.style(line[:indent], bold=True) + line[indent:] if not index else line
        yield from _lines(parameter.fields, indent, width, f"{prefix}{parameter.name}.")


def _notes(parameter: Parameter) -> Iterator[str]:
    yield _takes(parameter)
    if parameter.doubtful:
        yield "doubtful: " + ", ".join(_value(value) for value in parameter.doubtful)
    if not math.isinf(parameter.agreed):
        yield f"doubtful above {parameter.agreed:g}"
    if parameter.default is not None:
        yield f"default {_value(parameter.default)}"
    for name, use in parameter.ignored.items():
        yield f"{name} is ignored here: use {use}"
    if parameter.note:
        yield parameter.note
    if parameter.conflict:
        yield f"the sources differ: {parameter.conflict}"
    if parameter.absent:
        yield f"left out: {parameter.absent}"


def _takes(parameter: Parameter) -> str:
    text = _WORDS[parameter.type]
    if parameter.is_list:
        most = "" if math.isinf(parameter.most) else f"at most {parameter.most:g} "
        text = f"list of {most}{text}s" if parameter.type != "any" else "list"
    if parameter.type == "file":
        text += " (" + ", ".join(_FORMS[form] for form in parameter.forms) + ")"
    if parameter.values:
        text += ": " + ", ".join(_value(value) for value in parameter.values)
    return text + _limits(parameter)


def _value(value: Any) -> str:
    """Return a value as it is typed: a text that would be parsed as JSON is quoted."""
    try:
        json.loads(value)
    except (TypeError, ValueError):
        return value if isinstance(value, str) else quote_value(value)
    return f'"{value}"'


def _limits(parameter: Parameter) -> str:
    unit = " characters" if parameter.type == "text" else ""
    parts = [_value(value) for value in parameter.besides]
    if not math.isinf(parameter.high):
        is_from_nothing = math.isinf(parameter.low) or (unit and not parameter.low)
        low = "at most " if is_from_nothing else f"{parameter.low:.15g} to "
        parts.append(f"{low}{parameter.high:.15g}{unit}")
    elif not math.isinf(parameter.low):
        parts.append(f"{parameter.low:.15g}{unit} or more")
    text = f", {' or '.join(parts)}" if parts else ""
    if parameter.sides:
        text += f", each side {parameter.sides[0]} to {parameter.sides[1]}"
    if parameter.pixels:
        low_side, high_side = (math.isqrt(most) for most in parameter.pixels)
        text += f", pixels of {low_side}*{low_side} to {high_side}*{high_side}"
    if parameter.ratio:
        text += f", width by height {parameter.ratio[0]:g} to {parameter.ratio[1]:g}"
    return text
