"""The values of ``--param`` and ``--input``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mulequeue.cli.values import folders_of, parse_metadata, parse_params, read_object
from mulequeue.errors import InputError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("n=2", 2),
        ("audio=true", True),
        ('size="1280*720"', "1280*720"),
        ("size=1280*720", "1280*720"),
        ("list=[1, 2]", [1, 2]),
        ("formula=a=b", "a=b"),
        ("empty=", ""),
        ("name=/etc/passwd", "/etc/passwd"),
        ('name="@mule"', "@mule"),
        ("image=@mule.png", {"$file": os.path.abspath("mule.png")}),
    ],
)
def test_a_value_is_json_or_text_or_a_marked_file(text: str, value: object) -> None:
    """Only ``@path`` names a file; a plain text never does."""
    assert [value] == list(parse_params([text]).values())


@pytest.mark.parametrize("text", ["n", "=2", ""])
def test_a_pair_without_key_or_value_is_rejected(text: str) -> None:
    """Anything but KEY=VALUE is rejected with an example."""
    with pytest.raises(InputError, match="KEY=VALUE"):
        parse_params([text])


def test_folders_of_typed_files(tmp_path: Path) -> None:
    """The folders of ``@path`` values, and of nothing else."""
    assert (str(tmp_path),) == folders_of([f"image=@{tmp_path}/a.png", "x=/etc/passwd", "n=1"])


@pytest.mark.parametrize("text", ["[1]", '"a"', "{", ""])
def test_an_input_that_is_not_an_object_is_rejected(tmp_path: Path, text: str) -> None:
    """--input holds one JSON object."""
    file = tmp_path / "input.json"
    file.write_text(text)

    with pytest.raises(InputError, match=r"input\.json"):
        read_object(str(file))


def test_metadata_is_text() -> None:
    """Each value of ``--metadata`` is text, also one that is JSON."""
    assert {"sku": "A=1", "row": "7"} == parse_metadata(["sku=A=1", "row=7"])


@pytest.mark.parametrize("pair", ["sku", "=A-1", "sku=" + "x" * 2000])
def test_metadata_without_a_name_or_over_its_size_is_refused(pair: str) -> None:
    """The error names the option or the size."""
    with pytest.raises(InputError, match="metadata"):
        parse_metadata([pair])
