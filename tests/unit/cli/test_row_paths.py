"""File names from the columns of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mulequeue.cli.prompts import PromptFile, Row
from mulequeue.cli.row_paths import row_templates
from mulequeue.errors import InputError
from mulequeue.outcome import Asset, Outcome
from mulequeue.transfer.path_template import file_path, member_templates


def prompts(header: tuple[str, ...], *rows: tuple[str, ...]) -> PromptFile:
    found = (
        Row(input={"prompt": cells[0]}, where=f"p.csv, line {number}", cells=cells)
        for number, cells in enumerate(rows, 2)
    )
    return PromptFile(rows=tuple(found), header=header, prompt_column=0)


def templates(template: str, file: PromptFile, **more: Any) -> tuple[str, ...]:
    inputs: list[Mapping[str, Any]] = [{**row.input, **more} for row in file.rows]
    return row_templates(template, file, inputs, "prompt")


FILE = prompts(("prompt", "SKU", "For"), ("a mule", "A-17", "shop"), ("a fox", "B/4", "shop"))


@pytest.mark.parametrize(
    ("template", "first"),
    [
        ("{sku}.{ext}", "A-17.{ext}"),
        ("{For}/{SKU}-{index:02d}.{ext}", "shop/A-17-{index:02d}.{ext}"),
        ("{row}.{ext}", "1.{ext}"),
        ("{prompt} {remote_id}.{ext}", "a mule {remote_id}.{ext}"),
        ("{{{sku}}}.{ext}", "{{A-17}}.{ext}"),
    ],
)
def test_columns_are_filled_in(template: str, first: str) -> None:
    """Columns in any case, the number of the row and the prompt; the other names stay for later."""
    assert first == templates(template, FILE)[0]


def test_a_cell_is_one_part_of_a_path() -> None:
    """A separator in a cell makes no folder; its name gets a hash and stays different."""
    second = templates("{sku}.{ext}", FILE)[1]

    assert second.startswith("B_4-")
    assert "/" not in second


@given(st.lists(st.text(min_size=1).filter(lambda t: bool(t.strip())), min_size=1, unique=True))
def test_no_cell_leaves_the_storage(cells: list[str]) -> None:
    """Any cell gives one plain name, and download accepts the template."""
    file = prompts(("prompt", "sku"), *(("a", f"{n}{cell}") for n, cell in enumerate(cells)))
    found = templates("{sku}.{ext}", file, n=1)

    outcome = Outcome(
        task_id="t", status="succeeded", assets=(Asset(url="https://a/0", kind="image"),)
    )
    paths = [file_path(item, outcome, 0, "png") for item in member_templates(found, len(cells))]
    assert len(cells) == len(set(paths))
    for path in paths:
        assert "/" not in path
        assert path.isprintable()
        assert not path.startswith(".")


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{sko}.{ext}", "there is no {sko}. Known: {prompt}, {SKU}, {For}, {row}, {model}"),
        ("{sku", "cannot be filled in: expected '}'"),
        ("{sku:>9}.{ext}", "takes no format"),
        ("{for}.{ext}", "p.csv, line 2, and p.csv, line 3, would have the same file 'shop.{ext}'"),
        ("all.{ext}", "would have the same file"),
        ("{index}.{ext}", "would have the same file"),
        ("{sku}.{ext:x9}", "cannot be filled in"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused(template: str, says: str) -> None:
    """Before anything is enqueued, with the lines."""
    with pytest.raises(InputError) as caught:
        templates(template, FILE)

    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("file", "says"),
    [
        (prompts(("prompt", "sku"), ("a", "x"), ("b", " ")), "line 3, has nothing in 'sku'"),
        (prompts(("prompt", "sku"), ("a", "x"), ("b", "X")), "would have the same file"),
        (prompts(("prompt", "sku"), ("a", "x"), ("b", "x-1")), "the file of the second picture of"),
        (prompts(("prompt", "sku", "Sku"), ("a", "x", "y")), "{sku} is 2 columns"),
    ],
)
def test_rows_that_could_share_a_file_are_refused(file: PromptFile, says: str) -> None:
    """Also where only the case differs, or the number of a second picture."""
    with pytest.raises(InputError) as caught:
        templates("{sku}.{ext}", file)

    assert says in str(caught.value)


def test_the_number_of_a_second_picture_is_no_danger_with_one_picture() -> None:
    """With n = 1 no number is added; with the index in the template each picture has its own."""
    file = prompts(("prompt", "sku"), ("a", "x"), ("b", "x-1"))

    assert ("x.{ext}", "x-1.{ext}") == templates("{sku}.{ext}", file, n=1)
    assert 2 == len(templates("{sku}_{index}.{ext}", file))


def test_a_column_called_like_a_name_of_every_template_is_refused() -> None:
    """It is not clear which of them is meant."""
    file = prompts(("prompt", "model"), ("a", "x"))

    with pytest.raises(InputError, match="is a column and a name of every template"):
        templates("{model}/{row}.{ext}", file)
