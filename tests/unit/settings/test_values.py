"""What each setting allows, and that no error repeats a value."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from mulequeue.errors import ConfigurationError
from mulequeue.settings import Settings, allowed_values, default_of
from mulequeue.settings.profiles import PROFILE_LIMITS

SECRET = "hunter2"
NOT_TEXT = (
    7,
    0,
    True,
    1.5,
    [SECRET],
    {SECRET: 1},
    SECRET.encode(),
    "",
    "  ",
    f"{SECRET}\n{SECRET}",
)
NOT_NUMBERS = (
    SECRET,
    "",
    [],
    [SECRET],
    {},
    True,
    False,
    b"1",
    "1 s",
    math.nan,
    math.inf,
    -math.inf,
)
NOT_NUMBERS_IN_TEXT = ("nan", "inf", "-inf", "0x10")
NOT_A_LIST = (7, True, {SECRET: 1}, [7], [None], [""], [SECRET.encode()])
NOT_A_DICTIONARY = (SECRET, 7, True, [SECRET], {7: SECRET})


def number(
    low: float, high: float, *, whole: bool = False
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Values that are allowed, and values that are not."""
    step = 1 if whole else 0.01
    bad = (
        *NOT_NUMBERS,
        *NOT_NUMBERS_IN_TEXT,
        low - step,
        high + step,
        -1,
        f"{high + step}",
        10**400,
    )
    more = (low + 0.5, "1.5") if whole else ()
    return (low, high, str(low), str(high), float(high)), (*bad, *more)


def text(
    *good: str, bad: tuple[Any, ...] = (), empty: bool = False
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The same; with ``empty`` empty text means that the setting is not set."""
    wrong = [value for value in NOT_TEXT if not (empty and value == "")]
    return (*good, *([""] if empty else [])), (*wrong, *bad)


USD = (20, 0.5, "19.99", 10**9), (*NOT_NUMBERS, *NOT_NUMBERS_IN_TEXT, -1, 10**9 + 1, "20 EUR")
BIG, QUEUES = 10**9, text("q", "proj.queue", bad=(f"{SECRET} q", "q" * 201))
DICTIONARY = ({}, {"a": 1}), NOT_A_DICTIONARY
URL = (
    "ftp://h",
    SECRET,
    f"https://u:{SECRET}@h",
    "https://",
    f"https://h?k={SECRET}",
    f"https://h/ {SECRET}",
)
TABLE: dict[str, tuple[tuple[Any, ...], tuple[Any, ...]]] = {
    "api_key": text("sk-mr-1", "sk-mr-1\n", empty=True),
    "base_url": text("https://h", "http://127.0.0.1:8787/", "https://h/v1", bad=URL, empty=True),
    "site": (("mulerouter", "mulerun", ""), (SECRET, "mulerum", 7, True, ["mulerun"], {})),
    "profiles": (
        ({}, {"x": {"api_key": "k", "site": "mulerun", "max_per_day": 0}}),
        (
            *NOT_A_DICTIONARY,
            {"x": SECRET},
            {"x": [SECRET]},
            {"x": {"api_key": [SECRET]}},
            {"x": {"base_url": SECRET}},
            {"x": {"site": SECRET}},
            *(
                {"x": {name: bad}}
                for name in PROFILE_LIMITS
                for bad in (-1, SECRET, math.nan, math.inf, *([] if "usd" in name else [0.5]))
            ),
            {"x": {"models": {"alibaba/wan2.6-t2i": {"max_in_flight": SECRET}}}},
        ),
    ),
    "former_fingerprints": ((("0123abcd",), ["0123abcd"], "0123abcd:89abcdef", ()), NOT_A_LIST),
    "defaults": (({}, {"alibaba/wan2.6-t2i": {"n": 1}}), NOT_A_DICTIONARY),
    "confirm_above": number(0, BIG, whole=True),
    "confirm_above_usd": number(0, BIG),
    "max_in_flight": number(1, BIG, whole=True),
    "submissions_per_second": number(1, BIG, whole=True),
    "submissions_per_minute": number(1, BIG, whole=True),
    "max_per_day": number(0, BIG, whole=True),
    "max_per_batch": number(0, BIG, whole=True),
    "max_usd_per_day": USD,
    "max_usd_per_batch": USD,
    "max_in_flight_per_fair_key": number(1, BIG, whole=True),
    "max_usd_per_day_per_fair_key": USD,
    "models": (
        ({}, {"alibaba/wan2.6-t2i": {"max_in_flight": 2}}),
        (
            *NOT_A_DICTIONARY,
            {"alibaba/wan2.6-t2i": SECRET},
            {"alibaba/wan2.6-t2i": {"max_per_day": -1}},
        ),
    ),
    "prices": (({}, {"alibaba/wan2.6-t2i": {"unit": "image", "usd": 1}}), NOT_A_DICTIONARY),
    "fleet": text("blue", "a-b_c", bad=(f"{SECRET} x", "a{b}", "x" * 101)),
    "redis_url": text(
        "redis://:p@h/0",
        "rediss://h",
        "unix:///s",
        "redis+socket:///s",
        "redis+sentinel://a,b/m",
        bad=(SECRET, f"amqp://:{SECRET}@h", f"redis://:{SECRET} @h"),
    ),
    "poll_queue": QUEUES,
    "wake_queue": QUEUES,
    "submit_timeout_seconds": number(0.1, 90),
    "poll_timeout_seconds": number(0.1, 60),
    "poll_concurrency": number(1, 10_000, whole=True),
    "learn_cadence": ((True, False, 1, 0, "on", "No"), (SECRET, "", 2, [], {}, math.nan)),
    "not_found_grace_seconds": number(0, 86_400),
    "max_wait_seconds": number(1, 86_400),
    "record_ttl_seconds": number(1, 315_360_000, whole=True),
    "storage": text("folder", "s3://bucket/prefix"),
    "storage_path": text("{task_id}.{ext}"),
    "storage_options": DICTIONARY,
    "download_timeout_seconds": number(0.1, 18_000),
    "download_max_bytes": number(1, 1024**5, whole=True),
    "downloads_at_once": number(1, 64, whole=True),
    "notification_secret": text("whsec_c2VjcmV0", empty=True),
    "notification_timeout_seconds": number(0.1, 300),
    "notification_max_seconds": number(0, 2_592_000),
    "webhook_secret": ((("whsec_a", "whsec_b"), ["whsec_a"], "whsec_a", ""), NOT_A_LIST),
    "validate": (("strict", "warn", "off"), (SECRET, "", 1, True, ["strict"])),
    "input_roots": ((("/a",), ["/a", Path("/b")], "/a:/b", ()), NOT_A_LIST),
    "input_max_bytes": number(1, 1024**3, whole=True),
    "allow_private_addresses": ((True, "yes", 0), (SECRET, "", 2, [])),
}
NAMES = [item.name for item in fields(Settings)]


def load(name: str, value: Any) -> Settings:
    with Celery("settings", set_as_current=False) as app:
        app.conf.update({f"mulequeue_{name}": value})
        return Settings.load(app, {})


def refusal(function: Any, *args: Any) -> str:
    """The text of the error, without the value, also not in a traceback of an earlier error."""
    with pytest.raises(ConfigurationError) as caught:
        function(*args)
    assert SECRET not in str(caught.value), args
    assert caught.value.__suppress_context__, args
    return str(caught.value)


def test_every_setting_is_in_the_table() -> None:
    """A new setting says what it allows."""
    assert sorted(NAMES) == sorted(TABLE)


@pytest.mark.parametrize("name", NAMES)
def test_allowed_values_are_accepted(name: str) -> None:
    """The default, both ends of a range, and each way to write a value."""
    for value in (default_of(name), *TABLE[name][0]):
        load(name, value)


@pytest.mark.parametrize("name", NAMES)
def test_other_values_are_refused_without_being_shown(name: str) -> None:
    """The error names the setting and what it allows, and never repeats the value."""
    for value in TABLE[name][1]:
        message = refusal(load, name, value)
        if name not in ("profiles", "models", "prices"):
            assert f"mulequeue_{name} is invalid. It must be {allowed_values(name)}." in message


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("webhook_secret",)])
def test_variables_are_refused_alike(name: str) -> None:
    """What the environment holds is text; the error names the variable."""
    variable = f"MULEQUEUE_{name.upper()}"
    for value in TABLE[name][1]:
        if isinstance(value, str) and value.strip():
            assert f"{variable} is invalid." in refusal(Settings.load, None, {variable: value})


def test_a_number_may_be_text() -> None:
    """As in the environment, and in settings modules that read it themselves."""
    assert 7 == load("poll_concurrency", "7").poll_concurrency
    assert 2.5 == load("poll_timeout_seconds", "2.5").poll_timeout_seconds


def test_a_profile_that_is_wrong_is_named() -> None:
    """Each key of a profile is checked like the setting of the default profile."""
    with pytest.raises(ConfigurationError, match="max_per_day of profile 'x' is invalid"):
        load("profiles", {"x": {"max_per_day": -1}})
