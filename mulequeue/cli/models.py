"""``mulequeue models``: the list, and one model's path, parameters and poll schedule."""

from __future__ import annotations

import dataclasses
import json
import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from mulequeue import catalog
from mulequeue.catalog import Model, Parameter, Price
from mulequeue.catalog.defaults import defaults_of
from mulequeue.catalog.validation.finding import quote_value
from mulequeue.cli import preflight
from mulequeue.cli.options import complete_model
from mulequeue.cli.output import columns, labelled
from mulequeue.settings.prices import prices_of

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


@click.command("models")
@click.argument("name", required=False, shell_complete=complete_model)
@click.option("--kind", type=click.Choice(["image", "video", "audio"]), help="Show only this kind.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array (of NAME: object).")
@click.pass_context
def models_command(ctx: click.Context, name: str | None, kind: str | None, as_json: bool) -> None:
    """List the models and the parameters they require, or show price and parameters of NAME."""
    found = None if name is None else catalog.find(name)
    models = [model for model in catalog.all_models() if kind in (None, model.kind)]
    if as_json:
        data = [_data(model) for model in models] if found is None else _data(found)
        click.echo(json.dumps(data, indent=2, default=_plain))
        return
    if found is None:
        rows = [(m.name, m.kind or "?", ", ".join(m.required) or "one of several") for m in models]
        lines = iter(columns(rows))
    else:
        settings = preflight.settings_of(preflight.app_of(ctx))
        defaults = defaults_of(settings.defaults, found)
        lines = page(found, prices_of(settings.prices, found), defaults)
    for line in lines:
        click.echo(line)


# As JSON


def _data(model: Model) -> dict[str, Any]:
    """Return the fields of a model for ``json.dumps`` with :func:`_plain`."""
    data = _fields(model)
    del data["parameters"]
    return {**data, "parameters": list(model.parameters.values())}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    """Return the fields of a parameter: name, type, is_list, is_required, and those without default value."""
    always, default = ("name", "type", "is_list", "is_required"), _fields(Parameter(name=""))
    data = _fields(parameter)
    data = {key: item for key, item in data.items() if key in always or item != default[key]}
    return {**data, "fields": list(parameter.fields.values())} if parameter.fields else data


def _fields(value: Any) -> dict[str, Any]:
    """Return the fields of a dataclass; ``Infinity``, which JSON lacks, becomes None."""
    found = {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
    return {name: None if item == math.inf else item for name, item in found.items()}


def _plain(value: Any) -> Any:
    """Convert a value that :mod:`json` cannot encode."""
    if isinstance(value, Parameter):
        return _parameter(value)
    if dataclasses.is_dataclass(value):
        return _fields(value)
    return dict(value) if isinstance(value, Mapping) else str(value)


# The page of one model


def page(
    model: Model, prices: Sequence[Price], defaults: Mapping[str, Any] | None = None
) -> Iterator[str]:
    """Iterate over the lines of a model's page. They are wrapped on a terminal, but not in a pipe."""
    for name, text in _facts(model, prices, defaults or {}).items():
        yield labelled(name, text, 12)
    yield ""
    if not model.parameters:
        yield "Its parameters are unknown, so no input is checked."
        return
    parameters = list(_parameters(model.parameters))
    width = 2 + max(len(name) for name, _ in parameters)
    for name, parameter in parameters:
        line = labelled(name, "; ".join(_notes(parameter)), width)
        yield click.style(line[:width], bold=True) + line[width:]
    marks = "".join(name for name, _ in parameters)
    legend = ["* required"] if "*" in marks else []
    legend += ["! the sources differ: a warning, not an error"] if "!" in marks else []
    if legend:
        yield f"\n{'   '.join(legend)}"


def _facts(model: Model, prices: Sequence[Price], defaults: Mapping[str, Any]) -> dict[str, str]:
    plan = model.schedule
    facts = {
        "name": model.name,
        "path": model.api_path,
        "makes": model.kind or "unknown: the catalog does not list this path",
        "checked": f"first after {plan.first:g} s, then {plan.factor:g} times the previous wait, "
        f"up to {plan.ceiling:g} s",
        "gives up": f"after {_duration(model.max_wait_seconds)}",
        "files last": f"{_duration(model.retention_seconds)} at the API's host",
        "price": "; ".join(map(_price, prices))
        or "unknown: set mulequeue_prices to have estimates",
        "defaults": ", ".join(f"{name} {json.dumps(value)}" for name, value in defaults.items())
        + (" (mulequeue_defaults)" if defaults else ""),
        "note": model.note,
        "rules": "; ".join(_rules(model)),
        "ignored": ", ".join(f"{name} (use {use})" for name, use in model.rules.ignored.items()),
        "others": "may exist: the list may be incomplete, so an unknown name is only a warning"
        if model.rules.is_open
        else "",
        "try": example_command(model, defaults),
    }
    return {name: text for name, text in facts.items() if text}


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:g} s"
    return f"{seconds / 60:g} min" if seconds < 3600 else f"{seconds / 3600:g} h"


def _price(price: Price) -> str:
    text = f"{price.usd} USD per {price.unit}"
    text += "".join(f", {usd} USD per item of {name}" for name, usd in price.per_item.items())
    text += "".join(f" with {_case(*item)}" for item in price.when.items())
    text += f", {price.note}" if price.note else ""
    return f"{text} ({', '.join(part for part in (price.source, price.date) if part)})"


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


def _case(name: str, values: Sequence[Any]) -> str:
    return f"{name} {' or '.join(str(value) for value in values)}".rstrip()


def example_command(model: Model, defaults: Mapping[str, Any] | None = None) -> str:
    """Return a command that makes one generation, and only one picture if ``n`` is a parameter."""
    wanted = [*model.required, *(name for choice in model.rules.any_of for name in choice[0])]
    text = f"mulequeue run {model.name}"
    if model.prompt_field in wanted or not wanted:
        text += ' "a mule at dawn"'
    for name in wanted:
        if name != model.prompt_field:
            text += f" -p {name}={_example(model.parameters[name])}"
    if "n" in model.parameters and "n" not in (*wanted, *(defaults or ())):
        text += " -p n=1"
    return text


def _example(parameter: Parameter) -> str:
    if parameter.type == "file":
        url = "https://example.com/mule"
        return f"'[\"{url}\"]'" if parameter.is_list else url
    return shlex.quote(_value(parameter.values[0])) if parameter.values else "…"


def _parameters(
    parameters: Mapping[str, Parameter], prefix: str = ""
) -> Iterator[tuple[str, Parameter]]:
    """Iterate over all parameters, each followed by its fields, with their names.

    A name ends in ``*`` if the parameter is required, and in ``!`` if it is doubtful.
    """
    for parameter in parameters.values():
        name = f"{prefix}{parameter.name}"
        is_required, is_doubtful = parameter.is_required, _is_doubtful(parameter)
        yield f"{name}{'*' * is_required}{'!' * is_doubtful}", parameter
        yield from _parameters(parameter.fields, f"{name}.")


def _is_doubtful(parameter: Parameter) -> bool:
    is_agreed = math.isinf(parameter.agreed) and not parameter.doubtful
    return not is_agreed or bool(parameter.conflict or parameter.absent)


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
    """Return a value as a user types it: a text that would be parsed as JSON is quoted."""
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
