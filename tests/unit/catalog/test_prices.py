"""Prices, and the estimated cost of an input."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from support.pages import DOCS

from mulequeue import catalog
from mulequeue.catalog.prices import estimate_usd, read_prices
from mulequeue.errors import ConfigurationError

# What sources state, as a copy that the catalog is compared with.
STATED = {
    "alibaba/qwen-image-max": "0.075",
    "alibaba/qwen-image-max-2025-12-30": "0.075",
    "alibaba/qwen-image-edit-max": "0.075",
    "alibaba/qwen-image-edit-plus": "0.03",
    "alibaba/qwen-image-edit-plus-2025-12-15": "0.03",
    "minimax/music-2.0/text-to-music": "0.03",
    "minimax/music-2.5/text-to-music": "0.15",
    "carrothub/qwen-image-edit-spicy": "0.04",
    "carrothub/z-image-spicy": "0.013",
}


def cost(model: str, input: dict[str, Any], prices: Any = None) -> Decimal | None:
    """Return the estimate for an input of a model."""
    found = catalog.find(model)
    own = found.prices if prices is None else read_prices("prices", prices)
    return estimate_usd(own, found.parameters, input, prompt_field=found.prompt_field)


def test_catalog_has_the_stated_prices_and_no_others() -> None:
    """No price is guessed, and each has a source and a date."""
    prices = {model.name: model.prices for model in catalog.all_models() if model.prices}
    assert STATED == {name: str(own[0].usd) for name, own in prices.items()}
    assert all(price.source and price.date for own in prices.values() for price in own)


def test_page_about_costs_has_the_prices_of_the_catalog() -> None:
    """Each row of the page states the price of its model, and that of 5,000."""
    page = (DOCS / "howto" / "costs.md").read_text()
    rows = re.findall(r"^\| `(\S+/\S+)` \| ([\d.]+) per .*\| ([\d,]+) \|$", page, re.M)

    assert rows
    for model, usd, many in rows:
        assert STATED[model] == usd
        assert 5_000 * Decimal(usd) == Decimal(many)
    assert {model for model, *_ in rows} == {name for name in STATED if not name[-1].isdecimal()}


@pytest.mark.parametrize(
    ("model", "input", "usd"),
    [
        ("alibaba/qwen-image-max", {"prompt": "a"}, "0.075"),
        ("alibaba/qwen-image-edit-plus", {"prompt": "a", "n": 6}, "0.18"),
        ("alibaba/qwen-image-edit-plus", {"prompt": "a"}, "0.03"),
        ("carrothub/qwen-image-edit-spicy", {"reference_images": ["a", "b"]}, "0.046"),
        ("minimax/music-2.5/text-to-music", {"lyrics_prompt": "la"}, "0.15"),
        ("alibaba/wan2.6-t2i", {"prompt": "a"}, None),
    ],
)
def test_cost_of_an_input(model: str, input: dict[str, Any], usd: str | None) -> None:
    """The quantity comes from the input, else from the API's default."""
    assert cost(model, input) == (None if usd is None else Decimal(usd))


@pytest.mark.parametrize(
    ("price", "input", "usd"),
    [
        ({"unit": "image", "usd": 0.1}, {"n": 3}, "0.3"),
        # Four is the most that the API makes if n is left out.
        ({"unit": "image", "usd": 0.1}, {}, "0.4"),
        ({"unit": "call", "usd": "0.5"}, {"n": 3}, "0.5"),
        ({"unit": "1000 characters", "usd": 0.1}, {"prompt": "x" * 1234}, "0.1234"),
        ({"unit": "1000 characters", "usd": 0.0001}, {"prompt": "x"}, "0.000001"),
        ({"unit": "second", "usd": 0.1}, {}, None),
    ],
)
def test_units(price: dict[str, Any], input: dict[str, Any], usd: str | None) -> None:
    """Each unit has its quantity; an unknown quantity has no price, and amounts are rounded up."""
    found = cost("alibaba/wan2.6-t2i", input, price)
    assert found == (None if usd is None else Decimal(usd))


@pytest.mark.parametrize(
    ("input", "usd"), [({"duration": 10}, "1"), ({}, "0.5"), ({"duration": -1}, "1.5")]
)
def test_seconds_of_a_video(input: dict[str, Any], usd: str) -> None:
    """Seconds are given, else the default; if the model chooses, the longest counts."""
    assert cost("alibaba/wan2.6-t2v", input, {"unit": "second", "usd": 0.1}) == Decimal(usd)


def test_first_price_that_fits_applies() -> None:
    """A price with ``when`` holds for those values only; without a fitting one there is no price."""
    prices = [
        {"unit": "call", "usd": 1, "when": {"resolution": "720p"}},
        {"unit": "call", "usd": 2, "when": {"resolution": ["1080p", "2k"]}},
    ]
    costs = [cost("alibaba/wan2.6-i2v", {"resolution": it}, prices) for it in ("720p", "2k", "x")]
    assert costs == [1, 2, None]


@pytest.mark.parametrize(
    "price",
    [
        {"unit": "picture", "usd": 1},
        {"unit": "image"},
        {"unit": "image", "usd": -0.01},
        {"unit": "image", "usd": 1001},
        {"unit": "image", "usd": "NaN"},
        {"unit": "image", "usd": "three"},
        {"unit": "image", "usd": True},
        {"unit": "image", "eur": 1},
        {"unit": "image", "usd": 1, "when": "720p"},
        {"unit": "image", "usd": 1, "per_item": {"images": -1}},
        [],
        "0.03",
        3,
    ],
)
def test_invalid_prices_are_refused(price: Any) -> None:
    """An invalid price raises, and the text names the model."""
    with pytest.raises(ConfigurationError, match="my model"):
        read_prices("my model", price)
