"""What follows from a check: a refusal, a warning, or nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery

from mulequeue.catalog import find
from mulequeue.catalog.validation import calls
from mulequeue.catalog.validation.calls import (
    validate_call,
    validate_calls,
    validate_input,
    validate_inputs,
)
from mulequeue.errors import ConfigurationError, InputError

MODEL = "alibaba/wan2.6-t2v"
GOOD: dict[str, Any] = {"prompt": "a mule"}
WRONG = {"prompt": "a mule", "durations": 5}
DOUBTFUL = {"prompt": "a mule", "size": "832*480"}


@pytest.fixture(autouse=True)
def _nothing_said() -> Iterator[None]:
    calls._warned.clear()
    yield
    calls._warned.clear()


def app(**conf: Any) -> Celery:
    made = Celery("calls", set_as_current=False)
    made.conf.update(conf)
    return made


def test_a_refusal_names_everything_and_what_to_do() -> None:
    """One text for all that is wrong, with the command that shows more and the way past it."""
    with pytest.raises(InputError) as caught:
        validate_input(find(MODEL), {"resolution": "720P", "durations": 5}, "strict")

    text = str(caught.value)
    assert text.startswith(f"{MODEL}: the API ignores 'resolution'; use size. There is no 'dur")
    assert "did you mean duration. 'prompt' is missing. Nothing was sent." in text
    assert f"'mulequeue models {MODEL}'" in text
    assert text.endswith("validate='off' sends an input unchecked.")


@pytest.mark.parametrize(
    ("mode", "input", "told"),
    [
        ("strict", GOOD, 0),
        ("strict", DOUBTFUL, 1),
        ("warn", WRONG, 1),
        ("warn", DOUBTFUL, 1),
        ("off", WRONG, 0),
        ("off", DOUBTFUL, 0),
    ],
)
def test_warnings_are_told(mode: str, input: dict[str, Any], told: int) -> None:
    """What is doubtful is told, and with warn what is certain as well; off says nothing."""
    heard: list[str] = []

    validate_input(find(MODEL), input, mode, warn=heard.append)

    assert told == len(heard)
    assert all(text.startswith(MODEL) for text in heard)


def test_a_warning_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """A thousand inputs with one doubt are one line of the log, with its fields."""
    with caplog.at_level(logging.WARNING, "mulequeue"):
        for _ in range(1000):
            validate_input(find(MODEL), DOUBTFUL, "strict")
        validate_input(find(MODEL), {**GOOD, "multi_shots": True}, "strict")

    assert ["size", "multi_shots"] == [record.parameter for record in caplog.records]  # type: ignore[attr-defined]
    assert {MODEL} == {record.model for record in caplog.records}  # type: ignore[attr-defined]


def test_what_was_told_is_not_remembered_without_bound() -> None:
    """Names come from users: a process remembers only some of them."""
    for number in range(3 * calls._MAX_REMEMBERED):
        validate_input(
            find("dummy/videos"), {"prompt": "x", f"zebra{number}": 1}, "strict", warn=str
        )

    assert len(calls._warned) <= calls._MAX_REMEMBERED


def test_a_batch_is_refused_as_a_whole_and_names_its_rows() -> None:
    """The first five wrong rows are named, the others counted."""
    inputs = [GOOD, *[WRONG] * 7, GOOD]

    with pytest.raises(InputError) as caught:
        validate_inputs(find(MODEL), inputs, "strict", row=lambda index: f"row {index + 1}")

    text = str(caught.value)
    assert text.startswith(f"{MODEL}, row 2: there is no 'durations'; did you mean duration; row 3")
    assert "row 6: " in text
    assert "row 7" not in text
    assert "(and 2 more of 9)" in text


@pytest.mark.parametrize(
    "conf", [{}, {"mulequeue_validate": "strict"}, {"mulequeue_validate": None}]
)
def test_a_call_is_strict_unless_the_app_says_otherwise(conf: dict[str, Any]) -> None:
    """Without the setting a wrong input, or an unknown model, is refused where it is called."""
    with pytest.raises(InputError, match="durations"):
        validate_call(app(**conf), MODEL, WRONG)
    with pytest.raises(InputError, match=r"inputs\[1\]: there is no 'durations'"):
        validate_calls(app(**conf), MODEL, [GOOD, WRONG])
    with pytest.raises(InputError, match="Did you mean"):
        validate_call(app(**conf), "alibaba/wan2.6-t2x", GOOD)


def test_the_setting_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """MULEQUEUE_VALIDATE holds where the app says nothing; a call wins over both."""
    monkeypatch.setenv("MULEQUEUE_VALIDATE", "off")

    validate_call(app(), MODEL, WRONG)
    validate_calls(app(), "alibaba/wan2.6-t2x", [WRONG])
    with pytest.raises(InputError):
        validate_call(app(mulequeue_validate="strict"), MODEL, WRONG)
    with pytest.raises(InputError):
        validate_call(app(), MODEL, WRONG, validate="strict")


def test_a_mode_that_is_none_is_named() -> None:
    """A misspelt mode is an error of the call or of the configuration, not a silent default."""
    with pytest.raises(InputError, match="validate is 'of'"):
        validate_call(app(), MODEL, WRONG, validate="of")
    with pytest.raises(ConfigurationError, match="mulequeue_validate must be"):
        validate_call(app(mulequeue_validate="of"), MODEL, WRONG)


def test_a_good_input_does_not_touch_the_configuration() -> None:
    """A module that makes signatures while it is imported does not load the app's settings."""
    validate_call(None, MODEL, GOOD)
    made = Celery("lazy", set_as_current=False)

    validate_call(made, MODEL, GOOD)

    assert not made.configured
