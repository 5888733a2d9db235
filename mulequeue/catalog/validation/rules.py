"""Validation of an input against the rules between parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mulequeue.catalog import Model
from mulequeue.catalog.validation.finding import Finding, quote_value
from mulequeue.catalog.validation.values import is_given, is_one_of


def broken_rules(model: Model, input: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield a finding for each rule of a model that an input breaks."""
    given = {name for name, value in input.items() if is_given(value) and value is not False}
    for choice in model.rules.any_of:
        yield from _missing_choice(choice, given)
    yield from _exclusive(model.rules.apart, given)
    for name, other in model.rules.needs.items():
        if name in given and other not in given:
            yield Finding(name, f"'{name}' needs '{other}' as well", is_certain=True)
    for condition, then in model.rules.when:
        if all(name in given and _matches(input[name], condition[name]) for name in condition):
            yield from _unmet_condition(model, input, condition, then)
    for names, most in model.rules.together:
        yield from _too_many(names, most, input)
    for rule in model.rules.sums:
        yield from _wrong_sum(model, input, *rule)


def _missing_choice(choice: tuple[tuple[str, ...], ...], given: set[str]) -> Iterator[Finding]:
    if not any(given.issuperset(group) for group in choice):
        ways = " or ".join(" with ".join(f"'{name}'" for name in group) for group in choice)
        yield Finding(choice[0][0], f"it needs {ways}", is_certain=True)


def _exclusive(groups: tuple[tuple[str, ...], ...], given: set[str]) -> Iterator[Finding]:
    used = [next((name for name in group if name in given), None) for group in groups]
    names = [name for name in used if name]
    if len(names) > 1:
        text = " and ".join(f"'{name}'" for name in names) + " cannot be used together; remove one"
        yield Finding(names[1], text, is_certain=True)


def _matches(value: Any, values: Any) -> bool:
    return not values or is_one_of(value, tuple(values))


def _unmet_condition(
    model: Model, input: Mapping[str, Any], condition: Mapping[str, Any], then: Mapping[str, Any]
) -> Iterator[Finding]:
    reason = " and ".join(
        f"'{name}' {quote_value(input[name])}" if values else f"'{name}'"
        for name, values in condition.items()
    )
    for name, values in then.items():
        value = input.get(name)
        if value is None:
            value = model.parameters[name].default
        if not is_one_of(value, tuple(values)):
            text = f"{reason} needs '{name}' {quote_value(values[0])}"
            yield Finding(name, text, is_certain=True)


def _too_many(names: tuple[str, ...], most: int, input: Mapping[str, Any]) -> Iterator[Finding]:
    values = [input.get(name) for name in names]
    count = sum(
        len(value) if isinstance(value, (list, tuple)) else int(is_given(value)) for value in values
    )
    if count > most:
        text = f"{', '.join(names)} take at most {most} items together, not {count}"
        yield Finding(names[0], text, is_certain=True)


def _wrong_sum(
    model: Model, input: Mapping[str, Any], name: str, item: str, equals: str
) -> Iterator[Finding]:
    parts = input.get(name)
    if not isinstance(parts, (list, tuple)) or not parts:
        return
    numbers: list[Any] = [part.get(item) if isinstance(part, Mapping) else None for part in parts]
    total = input.get(equals)
    is_total_given = total is not None
    if not is_total_given:
        total = model.parameters[equals].default
    if any(isinstance(n, bool) or not isinstance(n, (int, float)) for n in [*numbers, total]):
        return  # another finding reports the wrong type
    if sum(numbers) != total:
        given = "" if is_total_given else " by default"
        text = f"the {item}s of '{name}' add up to {sum(numbers)}, but '{equals}' is {total}{given}"
        yield Finding(name, text, is_certain=is_total_given)
