"""The default inputs of models, ``mulequeue_defaults``."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery
from support.generation_requests import make_generation_request

from mulequeue import catalog
from mulequeue.catalog.defaults import check_defaults, with_defaults
from mulequeue.catalog.validation import calls
from mulequeue.errors import ConfigurationError, InputError
from mulequeue.settings import Settings
from mulequeue.settings.costs import estimate

MODEL = catalog.find("alibaba/wan2.6-t2i")
DEFAULTS = {"alibaba/wan2.6-t2i": {"n": 1}}


def app_with(**settings: Any) -> Celery:
    app = Celery("defaults", set_as_current=False)
    app.conf.update(mulequeue_api_key="key", **settings)
    return app


@pytest.mark.parametrize(
    ("given", "whole"),
    [
        ({"prompt": "a"}, {"n": 1, "prompt": "a"}),
        ({"prompt": "a", "n": 3}, {"prompt": "a", "n": 3}),
        ({"prompt": "a", "n": None}, {"prompt": "a", "n": None}),
        ("not an object", "not an object"),
    ],
)
def test_defaults_fill_in_what_an_input_lacks(given: Any, whole: Any) -> None:
    """What is given stays, also None."""
    assert whole == with_defaults(DEFAULTS, MODEL, given)
    assert given == with_defaults({"google/veo-3.1-fast": {"duration": 4}}, MODEL, given)


def test_a_model_is_found_by_its_path_too() -> None:
    """As in every other place where a model is named."""
    assert {"n": 1, "prompt": "a"} == with_defaults(
        {MODEL.api_path: {"n": 1}}, MODEL, {"prompt": "a"}
    )


@pytest.mark.parametrize(
    ("defaults", "says"),
    [
        ({"alibaba/wan2.6-t2x": {"n": 1}}, "mulequeue_defaults: Unknown model"),
        ({"alibaba/wan2.6-t2i": {"m": 1}}, "there is no 'm'"),
        ({"alibaba/wan2.6-t2i": {"sead": 1}}, "did you mean seed"),
        ({"alibaba/wan2.6-t2i": {"n": 9}}, "'n' cannot be 9; it takes 1 to 4"),
        ({"alibaba/wan2.6-t2i": 1}, "must be a dictionary of dictionaries"),
        ([1], "mulequeue_defaults is invalid"),
    ],
)
def test_a_wrong_default_is_refused_at_the_start(defaults: Any, says: str) -> None:
    """The error names the setting, the model and the parameter."""
    with pytest.raises(ConfigurationError, match=says) as caught:
        Settings.load(app_with(mulequeue_defaults=defaults))

    assert "mulequeue_defaults" in str(caught.value)
    if isinstance(defaults, dict):
        with pytest.raises(ConfigurationError):
            check_defaults(defaults)


def test_the_digest_is_that_of_the_whole_input() -> None:
    """A generation is the same whether a field was given or is a default."""
    settings = Settings.load(app_with(mulequeue_defaults=DEFAULTS))
    bare = Settings.load(app_with())

    by_default = make_generation_request(settings, MODEL.name, {"prompt": "a"})
    given = make_generation_request(bare, MODEL.name, {"prompt": "a", "n": 1})

    assert given.digest == by_default.digest
    assert {"prompt": "a", "n": 1} == by_default.body(settings)


def test_a_wake_has_the_defaults_too() -> None:
    """A generation that waited is sent from its wake; one that is adopted is not sent."""
    settings = Settings.load(app_with(mulequeue_defaults=DEFAULTS))

    woken = make_generation_request(settings, MODEL.name, {"prompt": "a"}, is_new=False)
    assert {"prompt": "a", "n": 1} == woken.body(settings)
    assert {} == make_generation_request(settings, MODEL.name, {}, submits=False).input


def test_a_default_takes_the_place_of_what_is_missing(caplog: pytest.LogCaptureFixture) -> None:
    """A required parameter may be a default, and the warning about a missing one is not logged."""
    calls._warned.clear()
    required = app_with(mulequeue_defaults={"alibaba/wan2.6-t2i": {"prompt": "a mule", "n": 1}})

    calls.validate_call(required, MODEL.name, {})

    assert [] == caplog.messages
    with pytest.raises(InputError, match="'prompt' is missing"):
        calls.validate_call(app_with(), MODEL.name, {})


def test_an_estimate_counts_defaults() -> None:
    """Four pictures are counted where n is not known, one where it is a default."""
    prices = {"alibaba/wan2.6-t2i": {"unit": "image", "usd": 0.5}}
    one = app_with(mulequeue_prices=prices, mulequeue_defaults=DEFAULTS)

    assert 2 == estimate(MODEL.name, [{"prompt": "a"}], app=app_with(mulequeue_prices=prices)).usd
    assert "0.50 USD" in str(estimate(MODEL.name, [{"prompt": "a"}], app=one))
