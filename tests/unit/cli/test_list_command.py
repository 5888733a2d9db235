"""The list of generations, in columns."""

from __future__ import annotations

from dataclasses import replace

import click
import pytest
from rich.cells import cell_len

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
    """Id, status, age, model (or path), prompt and reason; a pipe gets all of the prompt."""
    first, second = record_lines(RECORDS, 1100.0, None)

    facts = "order-17  timed out   2 min  google/veo-3.1-fast"
    assert (
        f"{facts}  {RECORDS[0].label.strip()}  It may still finish: continue it with resume."
        == first
    )
    assert "b-000001  generating  10 s   x/v1/y               a fox" == second


def test_metadata_precedes_the_prompt() -> None:
    """The caller's own data is in the column of the prompt."""
    [line] = record_lines([replace(RECORDS[1], metadata={"sku": "A-1", "row": 7})], 1100.0, None)

    assert line.endswith("  sku=A-1 row=7 a fox")


def test_a_terminal_gets_lines_that_fit() -> None:
    """A prompt without room beside the columns has its own line, and so has the reason."""
    lines = record_lines(RECORDS, 1100.0, 60)

    first, prompt, reason, second, fox = map(click.unstyle, lines)
    assert "order-17  timed out   2 min  google/veo-3.1-fast" == first
    assert (60, True) == (len(prompt), prompt.startswith("    a mule") and prompt.endswith("…"))
    assert "    It may still finish: continue it with resume." == reason
    assert ("b-000001  generating  10 s   x/v1/y", "    a fox") == (second, fox)
    assert click.style("generating", fg="cyan") in lines[3]


def test_a_wide_terminal_shows_a_prompt_beside_the_columns() -> None:
    """What remains is for the prompt."""
    lines = [click.unstyle(line) for line in record_lines(RECORDS, 1100.0, 100)]

    assert 100 == len(lines[0])
    assert "b-000001  generating  10 s   x/v1/y               a fox" == lines[2]


@pytest.mark.parametrize("width", [60, 100])
def test_wide_characters_do_not_break_the_columns(width: int) -> None:
    """A CJK character or an emoji counts as two cells."""
    labels = ["驢子在黎明時分穿過山口" * 4, "🐴🏔️ at dawn " * 6, "a mule"]
    records = [
        Record(task_id=f"b-{n}", state="generating", model="m", label=label, created=1090.0)
        for n, label in enumerate(labels)
    ]

    lines = [click.unstyle(line) for line in record_lines(records, 1100.0, width)]

    assert 3 == len(lines)
    assert max(map(cell_len, lines)) <= width
    assert all(line.startswith(f"b-{n}  generating  10 s  m  ") for n, line in enumerate(lines))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (59, "59 s"), (119, "2 min"), (7200, "2 h"), (200_000, "2 d")],
)
def test_an_age_has_one_unit(seconds: float, text: str) -> None:
    """The largest that fits."""
    assert text == age(seconds)
