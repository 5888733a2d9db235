"""The caller's own data of a generation: what is accepted."""

from __future__ import annotations

from typing import Any

import pytest

from mulequeue.engine.generation_call import MAX_METADATA_BYTES, check_metadata, member_metadata
from mulequeue.errors import InputError

FULL = {"k": "x" * (MAX_METADATA_BYTES - len('{"k":""}'))}


@pytest.mark.parametrize("value", [{"sku": "A-1", "row": 7, "tags": ["red"]}, {}, FULL])
def test_small_json_objects_are_accepted(value: dict[str, Any]) -> None:
    """A JSON object of at most 1,024 bytes is returned unchanged."""
    assert value == check_metadata(value)


def test_none_is_no_metadata() -> None:
    """A call without metadata has an empty object."""
    assert {} == check_metadata(None)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({**FULL, "n": 1}, "1,030 bytes as JSON; at most 1,024"),
        ({"k": "ä" * MAX_METADATA_BYTES}, "at most 1,024"),
        ({"k": object()}, "cannot be written as JSON"),
        ({"k": float("nan")}, "cannot be written as JSON"),
        ({"k": "\ud800"}, "cannot be written as JSON"),
        ({1: "k"}, "must be an object"),
        (["sku"], "must be an object"),
        ("sku=A-1", "must be an object"),
    ],
)
def test_anything_else_is_refused(value: Any, text: str) -> None:
    """The error says what metadata may be."""
    with pytest.raises(InputError, match=text):
        check_metadata(value)


def test_one_object_is_for_all_members() -> None:
    """An object belongs to each member of a batch, a list has one per member."""
    assert [{"a": 1}, {"a": 1}] == member_metadata({"a": 1}, 2)
    assert [{"a": 1}, {}] == member_metadata([{"a": 1}, None], 2)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([{"a": 1}], "1 objects for 2 inputs"),
        ("ab", "str for 2 inputs"),
        ([{}, {"k": "x" * 2000}], r"metadata\[1\]: metadata has"),
    ],
)
def test_a_list_must_fit_the_batch(value: Any, text: str) -> None:
    """A list of another length is refused, and an invalid object with its index."""
    with pytest.raises(InputError, match=text):
        member_metadata(value, 2)
