"""Estimate the cost of generations, and check the limits of a batch before it is enqueued."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from mulequeue import catalog
from mulequeue.catalog.defaults import with_defaults
from mulequeue.catalog.prices import Price, estimate_usd
from mulequeue.catalog.usd import format_usd, micros_of
from mulequeue.errors import BudgetExceeded, InputError
from mulequeue.settings import Settings
from mulequeue.settings.prices import KEY_USD_LIMIT, price_line, prices_of, usd_limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The estimated cost of several inputs of one model."""

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
    """Return an estimated cost as text, such as ``0.90 USD (estimate), and 2 without a known price``."""
    if unpriced and unpriced == count:
        return "price unknown (set mulequeue_prices)"
    more = f", and {unpriced:,} without a known price" if unpriced else ""
    return f"{format_usd(usd)} (estimate){more}"


def estimate(model: str, inputs: Iterable[Mapping[str, Any]], *, app: Any = None) -> Estimate:
    """Return the estimated cost of inputs, before anything is sent.

    Each input counts with the highest cost that it can have, because the API returns no price, and the API
    chooses the parameters that an input lacks.

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
    """Return the highest cost of each input, with its defaults, in US dollars; None: its price is unknown."""
    prices = prices_of(settings.prices, model)
    whole = (with_defaults(settings.defaults, model, item) for item in inputs)
    return [_cost(model, prices, item) for item in whole]


def micros_of_input(settings: Settings, model: catalog.Model, input: Any) -> int | None:
    """Return the highest cost in millionths of a US dollar of an input that has its defaults; None: unknown."""
    amount = _cost(model, prices_of(settings.prices, model), input)
    return None if amount is None else micros_of(amount)


def _cost(model: catalog.Model, prices: Sequence[Price], input: Any) -> Decimal | None:
    if not isinstance(input, Mapping):
        raise InputError(f"An input must be an object (a dict), not {type(input).__name__}.")
    return estimate_usd(prices, model.parameters, input, prompt_field=model.prompt_field)


def check_batch(
    settings: Settings,
    model: str,
    inputs: Sequence[Mapping[str, Any]],
    profile: str | None = None,
    fair_key: str | None = None,
) -> None:
    """Raise BudgetExceeded for a batch that exceeds a limit of its profile, its model or its fair key.

    A process whose settings lack the profile skips the check. The workers check each generation again.

    :raises BudgetExceeded: the batch is too large or costs too much, or the price of an input is
        unknown and a limit in US dollars applies.
    :raises ConfigurationError: a limit is invalid.
    """
    name = profile or "default"
    if name != "default" and name not in settings.profiles:
        return
    try:
        found = catalog.find(model)
    except InputError:  # the generations fail with this error
        found = None
    own = settings.profile(name, needs_key=False)
    for limits in own.limits_of(found.path if found else ""):
        if limits.max_per_batch is not None and len(inputs) > limits.max_per_batch:
            raise BudgetExceeded(
                f"A batch of {len(inputs)} is larger than max_per_batch of profile {name!r} or of its "
                f"model: {limits.max_per_batch}. Nothing was sent. Make smaller batches, or raise "
                "max_per_batch."
            )
    for limit, whose, most, only in usd_limits(own):
        is_concerned = fair_key is not None or limit != KEY_USD_LIMIT
        if found is not None and only in (None, found) and is_concerned:
            _check_cost(settings, found, inputs, whose, most)


def _check_cost(
    settings: Settings,
    model: catalog.Model,
    inputs: Sequence[Mapping[str, Any]],
    whose: str,
    most: float,
) -> None:
    amounts = amounts_of(settings, model, inputs)
    known = [amount for amount in amounts if amount is not None]
    if len(known) < len(amounts):
        raise BudgetExceeded(
            f"The price of {len(amounts) - len(known):,} of {len(amounts):,} generations is unknown, and "
            f"{whose} is limited. Nothing was sent. Set the price: {price_line(model)}."
        )
    if sum(known) > Decimal(str(most)):
        raise BudgetExceeded(
            f"A batch of {len(known):,} costs {format_usd(sum(known, Decimal(0)))} (estimate), more than "
            f"{whose}: {format_usd(Decimal(str(most)))}. Nothing was sent. Make smaller "
            "batches, or raise the limit."
        )
