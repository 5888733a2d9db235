"""Expenses, summed up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from mulequeue.errors import InputError
from mulequeue.ledger.expenses import Charging, Expense
from mulequeue.ops.spend import GROUPS, Sum, parse_since, sum_up

NOW = datetime(2026, 9, 30, 12, tzinfo=UTC)


def expense(usd: str | None, charging: Charging = Charging.CHARGED, **given: Any) -> Expense:
    usual: dict[str, Any] = {"task_id": "t", "at": NOW.timestamp(), "model": "v/m"}
    amount = None if usd is None else Decimal(usd)
    return Expense(**{**usual, **given}, usd=amount, charging=charging)


def test_each_kind_of_charge_has_a_sum_of_its_own() -> None:
    """What has no price is counted, and added to no sum."""
    found = sum_up(
        [
            expense("0.1"),
            expense("0.2"),
            expense("0.01", Charging.FAILED),
            expense("0.02", Charging.MAYBE),
            expense(None),
        ],
        "model",
    )

    usd = {
        Charging.CHARGED: Decimal("0.3"),
        Charging.FAILED: Decimal("0.01"),
        Charging.MAYBE: Decimal("0.02"),
    }
    assert {"v/m": Sum(generations=5, usd=usd, unpriced=1)} == found
    assert Decimal("0.33") == found["v/m"].total


@pytest.mark.parametrize("group", ["model", "profile", "batch"])
def test_the_most_expensive_group_comes_first(group: str) -> None:
    """Groups without a name are a group too."""
    given = [expense("0.1", **{group: "cheap"}), expense("3", **{group: ""})]

    assert ["", "cheap"] == list(sum_up(given, group))


def test_days_are_in_their_order() -> None:
    """A day is one of UTC."""
    late = datetime(2026, 9, 30, 23, 59, tzinfo=UTC).timestamp()
    given = [expense("9", at=late + 120), expense("1", at=late)]

    assert ["2026-09-30", "2026-10-01"] == list(sum_up(given, "day"))


def test_metadata_is_a_group() -> None:
    """By the value of one key, also if that is a number or missing."""
    given = [expense("1", metadata={"customer": 7}), expense("2", metadata={"customer": "x"})]

    assert ["", "x", "7"] == list(sum_up([*given, expense("5")], "metadata:customer"))


@pytest.mark.parametrize("group", ["", "models", "metadata:", "usd"])
def test_an_unknown_group_is_refused(group: str) -> None:
    """The text names the groups."""
    with pytest.raises(InputError, match=", ".join(GROUPS)):
        sum_up((), group)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("7d", NOW - timedelta(days=7)),
        ("24h", NOW - timedelta(days=1)),
        ("30m", NOW - timedelta(minutes=30)),
        ("2026-09-01", datetime(2026, 9, 1, tzinfo=UTC)),
        ("2026-09-01T10:00:00+02:00", datetime(2026, 9, 1, 8, tzinfo=UTC)),
    ],
)
def test_a_time_is_an_age_or_a_date(text: str, moment: datetime) -> None:
    """A date without a zone is one of UTC."""
    assert moment == parse_since(text, NOW)


@pytest.mark.parametrize("text", ["", "7", "d", "7w", "yesterday", "-7d", "999999d"])
def test_what_is_no_time_is_refused(text: str) -> None:
    """The text shows how to write one."""
    with pytest.raises(InputError, match="7d, 24h, 30m"):
        parse_since(text, NOW)
