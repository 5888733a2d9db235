"""Prices of models, and the estimated cost of an input. Pure.

The API returns no price with a response, so every amount is an estimate. ``prices.toml`` holds the prices that a
source states, by path; entries of the setting ``mulequeue_prices`` have the same keys and take precedence. The cost
of a model without a price is unknown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import ROUND_UP, Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any, Literal, get_args

from mulequeue.catalog.parameters import Parameter
from mulequeue.errors import ConfigurationError

Unit = Literal["image", "second", "call", "song", "1000 characters"]
UNITS: tuple[Unit, ...] = get_args(Unit)
_FIELDS: Mapping[Unit, str] = {"image": "n", "second": "duration"}
MAX_USD = Decimal(1000)
"""Highest price of one unit. The API charges cents or dollars per unit, so a higher price is a mistake."""
_MICRO = Decimal("0.000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """The price of one unit of a model."""

    unit: Unit
    """``image``, ``second`` (of the result), ``call``, ``song`` or ``1000 characters`` (of the prompt)."""
    usd: Decimal
    """US dollars per unit."""
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """Parameter -> values for which the price applies; empty: the price always applies."""
    per_item: Mapping[str, Decimal] = field(default_factory=lambda: MappingProxyType({}))
    """Parameter that takes a list -> US dollars that each item of the list costs in addition."""
    note: str = ""
    source: str = "mulequeue_prices"
    """Where the price is stated."""
    date: str = ""
    """Date on which the source was read; empty: unknown."""

    @property
    def lowest_usd(self) -> Decimal:
        """Return the lowest cost of a generation in US dollars: one unit, or 0 for a price per 1000 characters."""
        return Decimal(0) if self.unit == "1000 characters" else self.usd


def read_prices(whose: str, given: Any) -> tuple[Price, ...]:
    """Return the prices of one model.

    :param whose: the setting or the model's path, for the text of the error.
    :param given: one mapping with the attributes of :class:`Price`, or a list of them.
    :raises ConfigurationError: ``given`` has another shape, a key or unit is unknown, or an amount is not between
        0 and 1000 USD.
    """
    entries = [given] if isinstance(given, Mapping) else given
    if not isinstance(entries, Sequence) or isinstance(entries, str) or not entries:
        raise ConfigurationError(f'{whose} must be like {{"unit": "image", "usd": 0.03}}.')
    return tuple(_price(whose, entry) for entry in entries)


def estimate_usd(
    prices: Sequence[Price],
    parameters: Mapping[str, Parameter],
    input: Mapping[str, Any],
    *,
    prompt_field: str = "prompt",
) -> Decimal | None:
    """Return the highest cost of an input in US dollars, rounded up to millionths.

    For a missing quantity (such as ``n`` or ``duration``) the API's default is used. If the default is unknown, or
    if the API chooses the quantity (-1), the maximum is used, because the API may create and charge as many.

    :param prices: the first one applies whose ``when`` matches the input.
    :returns: the cost, or None if no price applies or if the quantity is unknown.
    """
    for price in prices:
        if all(_value(name, parameters, input) in values for name, values in price.when.items()):
            quantity = _quantity(price.unit, parameters, input, prompt_field)
            if quantity is None:
                return None
            total = quantity * price.usd
            for name, usd in price.per_item.items():
                items = input.get(name)
                total += usd * (len(items) if isinstance(items, (list, tuple)) else bool(items))
            return total.quantize(_MICRO, rounding=ROUND_UP)
    return None


def _quantity(
    unit: Unit, parameters: Mapping[str, Parameter], input: Mapping[str, Any], prompt_field: str
) -> Decimal | None:
    if unit in ("call", "song"):
        return Decimal(1)
    if unit == "1000 characters":
        return Decimal(len(str(input.get(prompt_field, "")))) / 1000
    name = _FIELDS[unit]
    value = _value(name, parameters, input)
    if value is None or (_is_number(value) and value < 0):  # -1: the model chooses
        value = _most(parameters.get(name))
    if value is None and unit == "image":
        value = 1  # no source mentions more than one
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    return Decimal(str(value)) if _is_number(value) and value >= 0 else None


def _value(name: str, parameters: Mapping[str, Parameter], input: Mapping[str, Any]) -> Any:
    value = input.get(name)
    return parameters[name].default if value is None and name in parameters else value


def _most(parameter: Parameter | None) -> float | None:
    if parameter is None:
        return None
    if parameter.values:
        return max((value for value in parameter.values if _is_number(value)), default=None)
    return None if math.isinf(parameter.high) else parameter.high


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _price(whose: str, given: Any) -> Price:
    if not isinstance(given, Mapping):
        raise ConfigurationError(f'{whose} must be like {{"unit": "image", "usd": 0.03}}.')
    known = [item.name for item in fields(Price)]
    for name in given:
        if name not in known:
            raise ConfigurationError(
                f"{whose} has an unknown key {name!r}. Known: {', '.join(known)}. Prices are in USD."
            )
    if given.get("unit") not in UNITS:
        raise ConfigurationError(f"unit of {whose} must be one of: {', '.join(UNITS)}.")
    return Price(
        unit=given["unit"],
        usd=_amount(f"usd of {whose}", given.get("usd")),
        when={
            name: tuple(value) if isinstance(value, (list, tuple)) else (value,)
            for name, value in _mapping(f"when of {whose}", given.get("when")).items()
        },
        per_item={
            name: _amount(f"per_item {name!r} of {whose}", value)
            for name, value in _mapping(f"per_item of {whose}", given.get("per_item")).items()
        },
        **{name: str(given[name]) for name in ("note", "source", "date") if name in given},
    )


def _mapping(what: str, value: Any) -> Mapping[str, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise ConfigurationError(f"{what} must be a dictionary with names of parameters.")
    return value or {}


def _amount(what: str, value: Any) -> Decimal:
    try:
        # str() gives the shortest form of a float, so that 0.1 is exactly a tenth.
        amount = Decimal(str(value).strip()) if not isinstance(value, bool) else Decimal("nan")
    except InvalidOperation:
        amount = Decimal("nan")
    if not (amount.is_finite() and 0 <= amount <= MAX_USD):
        raise ConfigurationError(f"{what} must be a number of US dollars from 0 to {MAX_USD}.")
    return amount
