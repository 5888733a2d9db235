"""Limits of profiles and models: how they are written, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from mulequeue.errors import BudgetExceeded, ConfigurationError
from mulequeue.ledger.types import encode_limits
from mulequeue.settings import Settings
from mulequeue.settings.costs import check_batch
from mulequeue.settings.profiles import Limits
from mulequeue.tasks.canvases import generate_many

KEY = "sk-mr-" + "a" * 64
IMAGE = "alibaba/wan2.6-t2i"
PATH = "alibaba/v1/wan2.6-t2i/generation"


def test_limits_of_the_default_profile_are_plain_settings() -> None:
    """Numbers of the environment or the configuration, and models by name or path."""
    settings = Settings.load(
        None, {"MULEQUEUE_API_KEY": KEY, "MULEQUEUE_SUBMISSIONS_PER_MINUTE": "30"}
    )
    assert 30 == settings.profile().submissions_per_minute

    settings = Settings(api_key=KEY, models={IMAGE: {"max_per_day": 5}})
    assert {PATH: Limits(max_per_day=5)} == settings.profile().models
    by_path = Settings(api_key=KEY, models={f"/vendors/{PATH}": {"max_per_day": 5}})
    assert settings.profile().models == by_path.profile().models


def test_limits_of_a_model_come_on_top() -> None:
    """A generation keeps those of its profile and those of its model; another model the first."""
    settings = Settings(api_key=KEY, max_in_flight=9, models={IMAGE: {"max_in_flight": 2}})
    profile = settings.profile()

    assert [9, 2] == [limits.max_in_flight for limits in profile.limits_of(PATH)]
    assert [9] == [limits.max_in_flight for limits in profile.limits_of("other/path")]


def test_a_named_profile_has_its_own_limits() -> None:
    """Those of the default profile are not inherited: it is another account."""
    settings = Settings(
        max_per_day=10, profiles={"x": {"api_key": "k", "models": {IMAGE: {"max_per_batch": 3}}}}
    )
    profile = settings.profile("x")

    assert profile.max_per_day is None
    assert 3 == profile.models[PATH].max_per_batch


def test_limits_as_the_scripts_read_them() -> None:
    """What is not limited is left out."""
    profile = Settings(
        api_key=KEY, submissions_per_second=2, models={IMAGE: {"max_in_flight": 1}}
    ).profile()

    assert {
        "own": {"rates": {"1": 2}},
        "models": {PATH: {"in_flight": 1}},
    } == encode_limits(profile)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"max_in_flight": 0}, "use `mulequeue pause` to stop submissions"),
        ({"submissions_per_second": 0}, "nothing would ever be submitted"),
        ({"submissions_per_second": 0.5}, "whole number"),
        ({"max_per_day": -1}, "whole number"),
        ({"max_per_day": True}, "whole number"),
        ({"max_in_fligth": 3}, "Did you mean max_in_flight"),
        ({"models": [IMAGE]}, "must be a dictionary"),
        ({"models": {IMAGE: 3}}, "must be a dictionary"),
        ({"models": {"alibaba/wan2.6-t2j": {}}}, "wan2.6-t2i"),
        ({"models": {IMAGE: {"api_key": "k"}}}, "api_key"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(given: dict[str, Any], text: str) -> None:
    """The text names what is wrong, and what was meant."""
    with pytest.raises(ConfigurationError, match=text):
        Settings(profiles={"x": {"api_key": "k", **given}}).profile("x")


def test_no_money_at_all_is_a_budget() -> None:
    """A budget of 0 is allowed: it refuses everything."""
    assert 0 == Settings(api_key=KEY, max_per_day=0).profile().max_per_day


def test_limits_are_known_without_a_key() -> None:
    """A web process has no key, and refuses a batch that is too large all the same."""
    with pytest.raises(BudgetExceeded, match=r"A batch of 4 .* 3\. Nothing was sent"):
        check_batch(Settings(max_per_batch=3), IMAGE, [{}] * 4)


def test_a_batch_keeps_the_cap_of_its_model() -> None:
    """The smaller of both counts; another model has the profile's alone."""
    settings = Settings(max_per_batch=100, models={IMAGE: {"max_per_batch": 3}})

    with pytest.raises(BudgetExceeded, match="3"):
        check_batch(settings, IMAGE, [{}] * 4)
    check_batch(settings, "alibaba/wan2.6-t2v", [{}] * 100)


def test_what_is_not_known_here_is_left_to_the_workers() -> None:
    """A profile or a model that only the workers know is checked by them."""
    check_batch(Settings(max_per_batch=1), IMAGE, [{}] * 9, profile="theirs")
    with pytest.raises(BudgetExceeded):
        check_batch(Settings(max_per_batch=1), "no/such-model", [{}] * 9)


def test_generate_many_refuses_before_anything_is_enqueued(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cap of the environment holds where the batch is made."""
    monkeypatch.setenv("MULEQUEUE_MAX_PER_BATCH", "2")

    generate_many(IMAGE, [{"prompt": "a"}] * 2)
    with pytest.raises(BudgetExceeded, match="max_per_batch"):
        generate_many(IMAGE, [{"prompt": "a"}] * 3)
