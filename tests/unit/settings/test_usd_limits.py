"""Limits in US dollars: what the start refuses, and what a batch may cost."""

from __future__ import annotations

from typing import Any

import pytest

from mulequeue.errors import BudgetExceeded, ConfigurationError
from mulequeue.ledger.types import encode_limits
from mulequeue.settings import Settings
from mulequeue.settings.costs import check_batch
from mulequeue.settings.prices import check_usd_limits
from mulequeue.settings.profiles import USD_LIMITS

PRICED, UNPRICED = "alibaba/qwen-image-max", "alibaba/wan2.6-t2i"
KEY_LIMIT = "max_usd_per_day_per_fair_key"
LINE = f'mulequeue_prices = {{"{UNPRICED}": {{"unit": "image", "usd": PRICE}}}}'


def load(**settings: Any) -> Settings:
    """Check the limits as the start does."""
    found = Settings(api_key="k", **settings)
    for profile in found.all_profiles():
        check_usd_limits(found.prices, profile)
    return found


def test_limits_are_counted_in_millionths() -> None:
    """Decimal fractions of a dollar stay exact."""
    profile = load(max_usd_per_day=20.1, models={PRICED: {"max_usd_per_batch": "0.30"}}).profile()

    own, models = encode_limits(profile).values()
    assert {"usd_day": 20_100_000} == own
    assert [{"usd_batch": 300_000}] == list(models.values())


@pytest.mark.parametrize("limit", [*USD_LIMITS, KEY_LIMIT])
@pytest.mark.parametrize("usd", [0, 0.012])
def test_a_limit_below_the_lowest_price_is_refused_at_the_start(limit: str, usd: float) -> None:
    """It would reject everything, so the error names the setting and the price."""
    text = f"{limit} of profile 'default' is below the lowest price, 0.013 US dollars"
    with pytest.raises(ConfigurationError, match=text):
        load(**{limit: usd})
    with pytest.raises(ConfigurationError, match=f"{limit} of profile 'x'"):
        load(profiles={"x": {"api_key": "k", limit: usd}})


def test_the_lowest_price_is_that_of_the_settings_too() -> None:
    """A cheaper or free model makes a lower limit sensible; a text may be short."""
    load(max_usd_per_day=0.001, prices={UNPRICED: {"unit": "image", "usd": "0.001"}})
    load(max_usd_per_day=0, prices={UNPRICED: {"unit": "image", "usd": 0}})
    load(max_usd_per_day=0.001, prices={UNPRICED: {"unit": "1000 characters", "usd": 1}})


def test_a_limit_of_a_model_is_compared_with_its_own_price() -> None:
    """Other models may be cheaper."""
    with pytest.raises(ConfigurationError, match=r"0\.075 US dollars for alibaba/qwen-image-max"):
        load(models={PRICED: {"max_usd_per_day": 0.05}})
    load(models={PRICED: {"max_usd_per_day": 0.075}})


def test_a_limit_of_a_model_without_a_price_is_refused_with_the_line_that_sets_one() -> None:
    """At the start, not with the first generation."""
    with pytest.raises(ConfigurationError) as caught:
        load(models={UNPRICED: {"max_usd_per_day": 5}})
    assert LINE in str(caught.value)
    load(
        models={UNPRICED: {"max_usd_per_day": 5}},
        prices={UNPRICED: {"unit": "image", "usd": "0.02"}},
    )


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"MULEQUEUE_MAX_USD_PER_DAY": "20 EUR"}, "must be a number"),
        ({"MULEQUEUE_MAX_USD_PER_DAY": "-1"}, "must be a number from 0"),
        ({"MULEQUEUE_MAX_EUR_PER_DAY": "20"}, "Did you mean MULEQUEUE_MAX_USD_PER_DAY"),
        ({"MULEQUEUE_MAX_USD_PER_DAY": "0.001"}, "max_usd_per_day of profile 'default'"),
    ],
)
def test_other_currencies_and_amounts_are_refused_at_the_start(
    settings: dict[str, str], text: str
) -> None:
    """The error names the setting or the variable."""
    with pytest.raises(ConfigurationError, match=text):
        Settings.load(None, settings)


@pytest.mark.parametrize(
    "price",
    [
        {"unit": "image", "usd": "0.03 EUR"},
        {"unit": "image", "usd": 0.03, "currency": "EUR"},
        {"unit": "image", "eur": 0.03},
        {"unit": "image", "usd": -0.03},
        {"unit": "image", "usd": 1001},
        {"unit": "picture", "usd": 0.03},
        {"unit": "image"},
    ],
)
def test_a_price_that_makes_no_sense_is_refused_by_the_name_of_its_setting(price: Any) -> None:
    """Negative and absurd amounts, unknown units, and other currencies."""
    with pytest.raises(ConfigurationError, match=f"mulequeue_prices of '{UNPRICED}'"):
        load(max_usd_per_day=20, prices={UNPRICED: price})


# -- a batch, where it is made -----------------------------------------------------------------


@pytest.mark.parametrize("limit", USD_LIMITS)
def test_a_batch_that_costs_too_much_is_refused_as_a_whole(limit: str) -> None:
    """Also if it costs more than a whole day may."""
    settings = load(**{limit: 0.3})
    check_batch(settings, PRICED, [{"prompt": "a"}] * 4)

    text = rf"A batch of 5 costs 0.375 USD \(estimate\), more than {limit} of profile 'default'"
    with pytest.raises(BudgetExceeded, match=text):
        check_batch(settings, PRICED, [{"prompt": "a"}] * 5)
    with pytest.raises(BudgetExceeded, match=limit):
        check_batch(load(models={PRICED: {limit: 0.3}}), PRICED, [{"prompt": "a"}] * 5)


def test_a_batch_that_costs_more_than_its_key_may_is_refused() -> None:
    """A batch without a key is not."""
    settings = load(**{KEY_LIMIT: 0.3})
    check_batch(settings, PRICED, [{"prompt": "a"}] * 5)
    check_batch(settings, PRICED, [{"prompt": "a"}] * 4, fair_key="A")

    with pytest.raises(BudgetExceeded, match=f"more than {KEY_LIMIT} of profile 'default'"):
        check_batch(settings, PRICED, [{"prompt": "a"}] * 5, fair_key="A")
    with pytest.raises(BudgetExceeded, match="unknown"):
        check_batch(settings, UNPRICED, [{"prompt": "a"}], fair_key="A")


def test_a_model_has_no_limits_per_key() -> None:
    """They are the profile's; the error says so by the names that a model may have."""
    with pytest.raises(ConfigurationError, match="Unknown limit of model"):
        load(models={PRICED: {KEY_LIMIT: 5}})


def test_limits_per_key_are_those_of_the_profile() -> None:
    """The scripts get them beside its other limits."""
    profile = load(**{KEY_LIMIT: 0.3, "max_in_flight_per_fair_key": 4}).profile()

    assert {"key_usd_day": 300_000, "key_in_flight": 4} == encode_limits(profile)["own"]


def test_a_batch_of_an_unknown_price_is_refused_with_the_line_that_sets_one() -> None:
    """The limit could not hold otherwise."""
    with pytest.raises(BudgetExceeded) as caught:
        check_batch(load(max_usd_per_batch=5), UNPRICED, [{"prompt": "a"}] * 2)
    assert "The price of 2 of 2 generations is unknown" in str(caught.value)
    assert LINE in str(caught.value)
