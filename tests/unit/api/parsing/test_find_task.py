"""The id of a generation is found in any text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mulequeue.api.parsing import find_task, read_task

LEAVES = st.none() | st.booleans() | st.integers() | st.text()
JSON = st.recursive(
    LEAVES, lambda child: st.lists(child) | st.dictionaries(st.text(), child), max_leaves=8
)


@settings(deadline=None)
@given(body=st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_searched(body: bytes) -> None:
    """No body raises an error, and what is found has an id."""
    found = find_task(body)

    assert found is None or read_task(found).remote_id


@settings(deadline=None)
@given(
    more=st.dictionaries(st.text(), JSON),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"]),
    tail=st.text(alphabet=" \r\n<>x", max_size=5),
)
def test_an_id_is_found_with_any_other_fields_and_in_any_encoding(
    more: dict[str, Any], encoding: str, tail: str
) -> None:
    """Other fields, the encoding and text after the object do not matter."""
    task = {**more, "task_info": {**more, "id": "r-1"}}

    found = find_task((json.dumps(task) + tail).encode(encoding))

    assert found is not None
    assert "r-1" == read_task(found).remote_id


@pytest.mark.parametrize("kept", range(len('{"task_info": {"id": "r-1"'), 60))
def test_an_id_is_found_in_a_cut_object(kept: int) -> None:
    """The rest of the object may be missing from any character after the id."""
    text = '{"task_info": {"id": "r-1", "status": "pending"}, "x": [1]}'

    found = find_task(text[:kept].encode())

    assert found is not None
    assert "r-1" == read_task(found).remote_id
