"""What a call asks for, checked before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest
from support.generation_requests import make_generation_request

from mulequeue.engine.generation_call import CallOptions
from mulequeue.engine.generation_request import LABEL_BYTES, GenerationRequest, refusal_of
from mulequeue.errors import ConfigurationError, InputError
from mulequeue.settings import Settings

MODEL = "alibaba/wan2.6-t2i"
SETTINGS = Settings(api_key="sk-mr-1", profiles={"eu": {"api_key": "2", "max_in_flight": 3}})


def plan(
    prompt: str = "a mule", *, settings: Settings = SETTINGS, **call: Any
) -> GenerationRequest:
    return make_generation_request(settings, MODEL, {"prompt": prompt}, CallOptions(**call))


def test_plan_of_a_known_model() -> None:
    """The plan has the catalog's path and name, and the default profile."""
    found = plan()

    assert "alibaba/v1/wan2.6-t2i/generation" == found.path
    assert (MODEL, "default", None) == (found.model_name, found.profile.name, found.interval)


def test_unlisted_path_is_allowed() -> None:
    """A path the catalog does not list has no model name, and everything else."""
    found = make_generation_request(SETTINGS, "/vendors/new/v1/thing/generation", {"prompt": "x"})

    assert found.model_name is None
    assert "new/v1/thing/generation" == found.path
    assert found.max_wait_seconds > 0


@pytest.mark.parametrize(
    ("setting", "given", "waits"),
    [(None, None, 600), (50.0, None, 50), (50.0, 7, 7), (None, 1e9, 24 * 3600)],
)
def test_max_wait(setting: float | None, given: float | None, waits: float) -> None:
    """The call's max_wait wins over the setting, the setting over the model; a day is the most."""
    settings = Settings(api_key="k", max_wait_seconds=setting)

    assert waits == plan(settings=settings, max_wait=given).max_wait_seconds


@pytest.mark.parametrize("wait", [0, -1, True, "9", float("nan"), float("inf")])
def test_max_wait_must_be_a_number_of_seconds(wait: Any) -> None:
    """A max_wait that is no number of seconds above 0 is refused."""
    with pytest.raises(InputError, match="max_wait"):
        plan(max_wait=wait)


@pytest.mark.parametrize("interval", [0, -1, "3", float("inf")])
def test_poll_interval_must_be_a_number_of_seconds(interval: Any) -> None:
    """A poll_interval that is no number of seconds above 0 is refused."""
    with pytest.raises(InputError, match="poll_interval is"):
        plan(poll_interval=interval)


def test_poll_interval_is_kept() -> None:
    """A poll_interval stands for every wait, and is remembered with the record."""
    found = plan(poll_interval=7)

    assert 7.0 == found.interval
    assert found.schedule.seconds(0) == found.schedule.seconds(50) == 7


@pytest.mark.parametrize("word", ["explode", "", None, True])
def test_on_failure_is_one_of_two_words(word: Any) -> None:
    """on_failure is 'raise' or 'return'."""
    with pytest.raises(InputError, match="'raise' or 'return'"):
        plan(on_failure=word)


def test_named_profile() -> None:
    """A profile is found by its name, with its limit."""
    assert ("eu", 3) == (
        (found := plan(profile="eu").profile).name,
        found.max_in_flight,
    )


def test_unknown_profile_and_missing_key() -> None:
    """An unknown profile, and one without a key, are errors of the configuration."""
    with pytest.raises(ConfigurationError, match="Did you mean eu"):
        plan(profile="ue")
    with pytest.raises(ConfigurationError, match="MULEROUTER_API_KEY"):
        plan(settings=Settings())


@pytest.mark.parametrize("value", [None, "text", ["a"], 7])
def test_input_must_be_an_object(value: Any) -> None:
    """An input that is no dictionary is refused."""
    with pytest.raises(InputError, match="dictionary"):
        make_generation_request(SETTINGS, MODEL, value)


def test_label_is_the_start_of_the_prompt() -> None:
    """The label is one line of at most sixty bytes, cut between characters."""
    assert "two lines of text" == plan("two  lines\n of text").label
    label = plan("müle " * 40).label
    assert len(label.encode()) <= LABEL_BYTES
    assert ("müle " * 40).startswith(label)
    assert "cut \ufffd here" == plan("cut \ud83d here").label


def test_label_of_no_prompt() -> None:
    """An input without a prompt has an empty label."""
    assert (
        ""
        == make_generation_request(
            SETTINGS, MODEL, {"prompt": ["a"]}, CallOptions(validate="off")
        ).label
    )


def test_digest_tells_inputs_apart() -> None:
    """The same input has the same digest in any order of keys; another model or input has another."""
    first = make_generation_request(SETTINGS, MODEL, {"prompt": "a", "n": 1}).digest

    assert first == make_generation_request(SETTINGS, MODEL, {"n": 1, "prompt": "a"}).digest
    assert first != make_generation_request(SETTINGS, MODEL, {"prompt": "a", "n": 2}).digest
    other = make_generation_request(SETTINGS, "google/nano-banana", {"prompt": "a"}).digest
    assert other != make_generation_request(SETTINGS, MODEL, {"prompt": "a"}).digest


def test_body_is_the_input() -> None:
    """Nothing is added to what the user gave."""
    assert {"prompt": "a mule"} == plan().body(SETTINGS)


def test_an_input_that_the_model_does_not_take_is_refused() -> None:
    """A field that the model does not have is refused, unless nothing is to be sent or checked."""
    wrong = {"prompt": "a", "sizes": "1*1"}

    with pytest.raises(InputError, match="did you mean size"):
        make_generation_request(SETTINGS, MODEL, wrong)
    assert wrong == make_generation_request(
        SETTINGS, MODEL, wrong, CallOptions(validate="off")
    ).body(SETTINGS)
    assert {} == make_generation_request(SETTINGS, MODEL, {}, submits=False).input


@pytest.mark.parametrize("setting", ["warn", "off"])
def test_the_setting_lets_an_input_through(setting: str) -> None:
    """With mulequeue_validate warn or off an input is sent as it is; a call may say strict."""
    settings = Settings(api_key="k", validate=setting)

    assert {"sizes": "1*1"} == make_generation_request(settings, MODEL, {"sizes": "1*1"}).body(
        settings
    )
    with pytest.raises(InputError, match="'prompt' is missing"):
        make_generation_request(settings, MODEL, {"sizes": "1*1"}, CallOptions(validate="strict"))


def test_an_unknown_mode_is_refused() -> None:
    """A mode that is none is an error of the call, or of the configuration."""
    with pytest.raises(InputError, match="Did you mean 'strict'"):
        plan(validate="strct")
    with pytest.raises(ConfigurationError, match="mulequeue_validate must be"):
        plan(settings=Settings(api_key="k", validate="on"))


def test_refusal_says_which_error_and_why() -> None:
    """What cannot be sent is told as an outcome's error."""
    told = {"type": "InputError", "title": "no such file"}

    assert {"error": told} == refusal_of(InputError("no such file"))
