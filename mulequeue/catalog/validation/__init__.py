"""Is an input what its model takes? Looked at before anything is sent, and never changed.

The API ignores most names it does not know, at full price, and refuses the rest one by one. What the
catalog says of a model's parameters is held against the input: a finding is *certain* where the
sources agree, and a warning where they differ or say nothing. Pure; who calls decides what follows
(:mod:`mulequeue.catalog.validation.calls`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mulequeue.catalog import Model
from mulequeue.catalog.validation.finding import Finding
from mulequeue.catalog.validation.names import unknown_name
from mulequeue.catalog.validation.rules import broken_rules, is_given
from mulequeue.catalog.validation.values import wrong_value

__all__ = ["Finding", "check"]


def check(model: Model, input: Any) -> list[Finding]:
    """What is wrong with an input, or may be.

    :param model: of the catalog; nothing is known of any other, so nothing is wrong with its input.
    :param input: as the user gave it. ``None`` counts as not given, as it does for the API;
        ``{"$file": path}`` as the data URI that it becomes.
    :returns: empty for an input that every source agrees on.
    """
    if not model.parameters:
        return []
    if not isinstance(input, dict):
        named = type(input).__name__
        return [Finding("input", f"the input is a {named}, not a dictionary", is_certain=True)]
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
            yield Finding(name, f"the sources differ about '{name}': {parameter.conflict}")
        if is_given(value) or not parameter.is_required:
            yield from wrong_value(parameter, value, name)
    for name, parameter in model.parameters.items():
        if parameter.is_required and not is_given(input.get(name)):
            yield Finding(name, f"'{name}' is missing", is_certain=True)
        elif parameter.absent and name not in input:
            yield Finding(name, f"'{name}' is not given: {parameter.absent}")
    yield from broken_rules(model, input)
