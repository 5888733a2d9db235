"""The setting ``mulequeue_prices``, and the limits in US dollars that depend on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from mulequeue.errors import ConfigurationError, InputError
from mulequeue.settings.profiles import USD_LIMITS, Profile

if TYPE_CHECKING:
    from mulequeue.catalog import Model, Price

_UNITS = {"image": "image", "video": "second", "audio": "song"}


def read_own_prices(given: Mapping[str, Any]) -> dict[str, tuple[Price, ...]]:
    """Return the prices of the setting ``mulequeue_prices`` by path.

    :raises ConfigurationError: a model is unknown, or a price is invalid; the text names the model.
    """
    return {model.api_path: _read(name, given) for name, model in _models_in(given)}


def prices_of(given: Mapping[str, Any], model: Model) -> tuple[Price, ...]:
    """Return the prices of a model: those of the setting, else those of the catalog.

    :param given: the setting ``mulequeue_prices``.
    :raises ConfigurationError: it is invalid.
    """
    own = [_read(name, given) for name, other in _models_in(given) if other == model]
    return own[-1] if own else model.prices


def price_line(model: Model) -> str:
    """Return the line of the configuration that sets the price of a model."""
    unit = _UNITS.get(model.kind or "", "call")
    return f'mulequeue_prices = {{"{model.name}": {{"unit": "{unit}", "usd": PRICE}}}}'


def check_usd_limits(given: Mapping[str, Any], profile: Profile) -> None:
    """Raise ConfigurationError for a limit in US dollars that would reject every generation.

    :param given: the setting ``mulequeue_prices``.
    """
    for path, limits in {"": profile, **profile.models}.items():
        for name in USD_LIMITS:
            most = getattr(limits, name)
            if most is not None:
                _check_usd_limit(given, f"{name} of profile {profile.name!r}", most, path)
    most = profile.max_usd_per_day_per_fair_key
    if most is not None:
        whose = f"max_usd_per_day_per_fair_key of profile {profile.name!r}"
        _check_usd_limit(given, whose, most, "")


def _check_usd_limit(given: Mapping[str, Any], whose: str, most: float, path: str) -> None:
    """Compare a limit with the lowest price.

    :param path: of its model; empty: it is that of the whole profile.
    """
    from mulequeue import catalog

    own = [model for _, model in _models_in(given)]
    models = [catalog.find(f"/vendors/{path}")] if path else [*catalog.all_models(), *own]
    whose = f"{whose} and model {models[0].name!r}" if path else whose
    prices = [(price, model) for model in models for price in prices_of(given, model)]
    if not prices:
        raise ConfigurationError(
            f"{whose} needs the price of the model, which is unknown. Set it: {price_line(models[0])}."
        )
    usd, name = min((price.lowest_usd, model.name) for price, model in prices)
    if Decimal(str(most)) < usd:
        raise ConfigurationError(
            f"{whose} is below the lowest price, {usd} US dollars for {name}, so nothing would ever be "
            "submitted. Raise it, or use `mulequeue pause` to stop submissions."
        )


def _models_in(given: Mapping[str, Any]) -> Iterator[tuple[str, Model]]:
    from mulequeue import catalog

    for name in given:
        try:
            yield name, catalog.find(name)
        except InputError as exc:
            raise ConfigurationError(f"mulequeue_prices: {exc}") from None


def _read(name: str, given: Mapping[str, Any]) -> tuple[Price, ...]:
    from mulequeue.catalog.prices import read_prices

    return read_prices(f"mulequeue_prices of {name!r}", given[name])
