"""Estimates for many inputs, with the prices of the settings."""

from __future__ import annotations

from decimal import Decimal

import pytest
from celery import Celery

import mulequeue
from mulequeue.catalog.usd import format_usd
from mulequeue.errors import ConfigurationError, InputError
from mulequeue.settings import Settings


def test_estimate_adds_up_and_counts_what_has_no_price() -> None:
    """Inputs with a price add up; the others are counted, not guessed."""
    price = {"unit": "call", "usd": "0.10", "when": {"size": "1280*720"}}
    app = Celery("shop")
    app.conf.mulequeue_prices = {"alibaba/wan2.6-t2i": price}
    inputs = [{"size": "1280*720"}, {"size": "960*960"}, {"size": "1280*720"}]

    found = mulequeue.estimate("alibaba/wan2.6-t2i", inputs, app=app)

    assert (found.count, found.usd, found.unpriced) == (3, Decimal("0.20"), 1)
    assert str(found) == "3 generations, 0.20 USD (estimate), and 1 without a known price"


def test_unknown_price_is_said_to_be_unknown() -> None:
    """Without any price the text names the setting that adds one."""
    found = mulequeue.estimate("alibaba/wan2.6-t2i", [{"prompt": "a"}], app=Celery("shop"))
    assert str(found) == "1 generation, price unknown (set mulequeue_prices)"


def test_own_price_overrides_the_catalog() -> None:
    """The catalog's price of a model is replaced, not added to."""
    app = Celery("shop")
    app.conf.mulequeue_prices = {"alibaba/qwen-image-max": {"unit": "image", "usd": 1}}
    assert 2 == mulequeue.estimate("alibaba/qwen-image-max", [{"n": 2}], app=app).usd


@pytest.mark.parametrize("model", ["alibaba/wan2.6-t2i", "unknown/model"])
def test_invalid_setting_is_refused_at_start(model: str) -> None:
    """A process with an invalid price does not load its settings; the error names the setting."""
    app = Celery("shop")
    app.conf.mulequeue_prices = {model: {"unit": "image", "usd": -1}}
    with pytest.raises(ConfigurationError, match="mulequeue_prices"):
        Settings.load(app)


def test_input_that_is_no_object_is_refused() -> None:
    """An estimate of texts would be an estimate of nothing."""
    with pytest.raises(InputError, match="dict"):
        mulequeue.estimate("alibaba/qwen-image-max", ["a mule"], app=Celery("shop"))  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("amount", "text"),
    [("0", "0.00 USD"), ("0.9", "0.90 USD"), ("0.0325", "0.0325 USD"), ("1200", "1,200.00 USD")],
)
def test_amounts_have_at_least_two_digits(amount: str, text: str) -> None:
    """Cents are always shown, and smaller parts where there are any."""
    assert text == format_usd(Decimal(amount))
