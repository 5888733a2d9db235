"""Validation of an input against the parameters of its model, before anything is sent.

The API ignores most unknown names, at full price, and rejects the others one by one. A finding is
*certain* if all sources (the API's documentation and clients) agree, and a warning if they differ or
do not cover the case. Pure: the input is not changed, and :mod:`mulequeue.catalog.validation.calls`
decides between error and warning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mulequeue.catalog import Model
from mulequeue.catalog.validation.finding import SOURCES, Finding, unknown_name
from mulequeue.catalog.validation.rules import broken_rules, is_given
from mulequeue.catalog.validation.values import wrong_value

__all__ = ["Finding", "check"]


def check(model: Model, input: Any) -> list[Finding]:
    """Return the findings about an input.

    :param model: one of the catalog; an unlisted path has no parameters and gives no findings.
    :param input: the input as the user gave it. A value of ``None`` counts as not given, as for the
        API; ``{"$file": path}`` counts as the data URI that replaces it.
    :returns: errors and warnings; an empty list if every source allows the input.
    """
    if not model.parameters:
        return []
    if not isinstance(input, dict):
        text = f"the input is a {type(input).__name__}; it must be a dictionary of parameters"
        return [Finding("input", text, is_certain=True)]
    return list(_findings(model, input))


def _findings(model: Model, input: Mapping[str, Any]) -> Iterator[Finding]:
    rules = model.rules
    for name, value in input.items():
        if value is None:
            continue
        parameter = model.parameters.get(name)
        if parameter is None:
            yield unknown_name(name, model.parameters, rules.ignored, is_open=rules.is_open)
            continue
        if parameter.conflict:
            yield Finding(name, f"{SOURCES} differ about '{name}': {parameter.conflict}")
        if is_given(value) or not parameter.is_required:
            yield from wrong_value(parameter, value, name)
    for name, parameter in model.parameters.items():
        if parameter.is_required and not is_given(input.get(name)):
            yield Finding(name, f"'{name}' is missing", is_certain=True)
        elif parameter.absent and name not in input:
            yield Finding(name, f"'{name}' is not given: {parameter.absent}")
    yield from broken_rules(model, input)
