"""The limits of a batch, checked before anything is enqueued."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from mulequeue import catalog
from mulequeue.catalog.usd import format_usd
from mulequeue.errors import BudgetExceeded, InputError
from mulequeue.settings import Settings
from mulequeue.settings.costs import amounts_of
from mulequeue.settings.prices import price_line
from mulequeue.settings.profiles import USD_LIMITS


def check_batch(
    settings: Settings,
    model: str,
    inputs: Sequence[Mapping[str, Any]],
    profile: str | None = None,
    fair_key: str | None = None,
) -> None:
    """Raise for a batch that exceeds a limit of its profile, its model or its fair key.

    A process without the profile's settings skips the check; the workers check again.

    :raises BudgetExceeded: the batch is too large or costs too much, or the price of an input is
        unknown and a limit in US dollars applies.
    :raises ConfigurationError: a limit is invalid.
    """
    name = profile or "default"
    if name != "default" and name not in settings.profiles:
        return
    found = _find(model)
    path = "" if found is None else found.path
    own = settings.profile(name, needs_key=False)
    for limits in own.limits_of(path):
        if limits.max_per_batch is not None and len(inputs) > limits.max_per_batch:
            raise BudgetExceeded(
                f"A batch of {len(inputs)} is larger than max_per_batch of profile {name!r} or of its "
                f"model: {limits.max_per_batch}. Nothing was sent. Make smaller batches, or raise "
                "max_per_batch."
            )
        for limit in USD_LIMITS:
            most = getattr(limits, limit)
            if most is not None and found is not None:
                _check_cost(
                    settings, found, inputs, f"{limit} of profile {name!r} or of its model", most
                )
    most = own.max_usd_per_day_per_fair_key
    if fair_key is not None and most is not None and found is not None:
        whose = f"max_usd_per_day_per_fair_key of profile {name!r}"
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


def _find(model: str) -> catalog.Model | None:
    try:
        return catalog.find(model)
    except InputError:  # the generation raises it
        return None
