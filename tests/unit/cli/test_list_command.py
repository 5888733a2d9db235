"""The list of generations, in columns."""

from __future__ import annotations

import click
import pytest

from mulequeue.cli.list_command import record_lines
from mulequeue.cli.render import age
from mulequeue.ledger import Record

RECORDS = [
    Record(
        task_id="order-17",
        state="delivered",
        status="timed_out",
        model="google/veo-3.1-fast",
        label="a mule runs over the pass at dawn, " * 2,
        created=1000.0,
    ),
    Record(task_id="b-000001", state="generating", path="x/v1/y", label="a fox", created=1090.0),
]


def test_columns_are_as_wide_as_what_is_in_them() -> None:
    """Id, status, age, model (or path) and prompt; a pipe gets all of the prompt."""
    first, second = record_lines(RECORDS, 1100.0, None)

    assert f"order-17  timed out   2 min  google/veo-3.1-fast  {RECORDS[0].label}".rstrip() == first
    assert "b-000001  generating  10 s   x/v1/y               a fox" == second


def test_a_terminal_gets_lines_that_fit() -> None:
    """The prompt is cut, and the status has its colour."""
    first, second = record_lines(RECORDS, 1100.0, 60)

    assert 60 == len(click.unstyle(first))
    assert click.style("generating", fg="cyan") in second


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (59, "59 s"), (119, "2 min"), (7200, "2 h"), (200_000, "2 d")],
)
def test_an_age_has_one_unit(seconds: float, text: str) -> None:
    """The largest that fits."""
    assert text == age(seconds)
