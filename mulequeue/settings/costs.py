"""Estimates of what generations cost, from the prices of the catalog and of ``mulequeue_prices``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from mulequeue import catalog
from mulequeue.catalog.defaults import with_defaults
from mulequeue.catalog.prices import Price, estimate_usd
from mulequeue.catalog.usd import format_usd, micros_of
from mulequeue.errors import InputError
from mulequeue.settings import Settings
from mulequeue.settings.prices import prices_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The estimated cost of some inputs of one model."""

    model: str
    count: int
    """Number of inputs."""
    usd: Decimal
    """US dollars for the inputs whose price is known."""
    unpriced: int
    """Number of inputs whose price is unknown; ``usd`` does not contain them."""
    prices: tuple[Price, ...]
    """The prices of the model that were used."""

    def __str__(self) -> str:
        """Return one line such as ``12 generations, 0.90 USD (estimate)``."""
        noun = "generation" if self.count == 1 else "generations"
        return f"{self.count:,} {noun}, {estimate_text(self.usd, self.count, self.unpriced)}"


def estimate_text(usd: Decimal, count: int, unpriced: int) -> str:
    """Return an estimated cost for people, such as ``0.90 USD (estimate)``."""
    if unpriced and unpriced == count:
        return "price unknown (set mulequeue_prices)"
    more = f", and {unpriced:,} without a known price" if unpriced else ""
    return f"{format_usd(usd)} (estimate){more}"


def estimate(model: str, inputs: Iterable[Mapping[str, Any]], *, app: Any = None) -> Estimate:
    """Return the estimated cost of inputs, before anything is sent.

    Each input counts with the highest cost that it can have: the API returns no price, and a
    parameter that an input lacks is chosen by the API.

    :param model: as for :func:`mulequeue.generate`.
    :param inputs: one JSON object per generation.
    :param app: the Celery app with ``mulequeue_prices``; None: the environment and the catalog.
    :raises InputError: the model is unknown, or an input is not a mapping.
    :raises ConfigurationError: ``mulequeue_prices`` is invalid.
    """
    found, settings = catalog.find(model), Settings.load(app)
    amounts = amounts_of(settings, found, inputs)
    known = [amount for amount in amounts if amount is not None]
    return Estimate(
        model=found.name,
        count=len(amounts),
        usd=sum(known, Decimal(0)),
        unpriced=len(amounts) - len(known),
        prices=prices_of(settings.prices, found),
    )


def amounts_of(
    settings: Settings, model: catalog.Model, inputs: Iterable[Mapping[str, Any]]
) -> list[Decimal | None]:
    """Return the highest cost of each input in US dollars; None: its price is unknown."""
    prices = prices_of(settings.prices, model)
    whole = (with_defaults(settings.defaults, model, item) for item in inputs)
    return [_cost(model, prices, item) for item in whole]


def micros_of_input(settings: Settings, model: catalog.Model, input: Any) -> int | None:
    """Return the highest cost of a whole input in millionths of a US dollar; None: unknown."""
    amount = _cost(model, prices_of(settings.prices, model), input)
    return None if amount is None else micros_of(amount)


def _cost(model: catalog.Model, prices: Sequence[Price], input: Any) -> Decimal | None:
    if not isinstance(input, Mapping):
        raise InputError(f"An input must be an object (a dict), not {type(input).__name__}.")
    return estimate_usd(prices, model.parameters, input, prompt_field=model.prompt_field)
