"""The setting ``mulequeue_prices``, and the limits in US dollars that depend on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from mulequeue import catalog
from mulequeue.catalog import Model, Price
from mulequeue.catalog.prices import read_prices
from mulequeue.errors import ConfigurationError
from mulequeue.settings.profiles import USD_LIMITS, Profile

KEY_USD_LIMIT = "max_usd_per_day_per_fair_key"
_SETTING = "mulequeue_prices"
_UNITS = {"image": "image", "video": "second", "audio": "song"}


def check_prices(given: Mapping[str, Any]) -> None:
    """Raise ConfigurationError for an unknown model or an invalid price in ``mulequeue_prices``."""
    for name, _, prices in catalog.models_in(_SETTING, given):
        read_prices(f"{_SETTING} of {name!r}", prices)


def prices_of(given: Mapping[str, Any], model: Model) -> tuple[Price, ...]:
    """Return the prices of a model: those of the setting, else those of the catalog.

    :param given: the setting ``mulequeue_prices``.
    :raises ConfigurationError: a model in the setting is unknown, or the price of this model is invalid.
    """
    found = model.prices
    for name, other, prices in catalog.models_in(_SETTING, given):
        if other == model:
            found = read_prices(f"{_SETTING} of {name!r}", prices)
    return found


def price_line(model: Model) -> str:
    """Return an example of the line in the configuration that sets the price of a model."""
    unit = _UNITS.get(model.kind or "", "call")
    return f'{_SETTING} = {{"{model.name}": {{"unit": "{unit}", "usd": PRICE}}}}'


def usd_limits(profile: Profile) -> Iterator[tuple[str, str, float, Model | None]]:
    """Yield the name, a description, the amount and the model of each limit of a profile in US dollars.

    The model is None for a limit of the whole profile.
    """
    for path, limits in {"": profile, **profile.models}.items():
        model = catalog.find(f"/vendors/{path}") if path else None
        for name in (*USD_LIMITS, KEY_USD_LIMIT):
            most = getattr(limits, name, None)
            if most is not None:
                whose = f"{name} of profile {profile.name!r}"
                yield name, f"{whose} and model {model.name!r}" if model else whose, most, model


def check_usd_limits(given: Mapping[str, Any], profile: Profile) -> None:
    """Raise ConfigurationError for a limit in US dollars that would reject every generation."""
    for _, whose, most, model in usd_limits(profile):
        own = [other for _, other, _ in catalog.models_in(_SETTING, given)]
        models = [*catalog.all_models(), *own] if model is None else [model]
        prices = [(price, each) for each in models for price in prices_of(given, each)]
        if not prices:
            raise ConfigurationError(
                f"{whose} needs the price of the model, which is unknown. Set it: "
                f"{price_line(models[0])}."
            )
        usd, name = min((price.lowest_usd, each.name) for price, each in prices)
        if Decimal(str(most)) < usd:
            raise ConfigurationError(
                f"{whose} is below the lowest price, {usd} US dollars for {name}, so nothing would ever "
                "be submitted. Raise it, or use `mulequeue pause` to stop submissions."
            )
