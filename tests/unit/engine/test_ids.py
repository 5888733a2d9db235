"""Ids that callers choose."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from mulequeue.engine.generation_call import CallOptions, check_remote_id, check_task_id, id_text
from mulequeue.errors import InputError

ID = uuid.uuid4()
NO_IDS = [7, b"order-7", ["order-7"], 1.5, True, None]


def test_a_uuid_is_used_as_its_text() -> None:
    """Django's UUIDField gives UUID objects; text stays as it is."""
    assert str(ID) == id_text(ID)
    assert "order-7" == id_text("order-7")


@pytest.mark.parametrize("value", NO_IDS, ids=repr)
def test_other_ids_are_refused(value: Any) -> None:
    """The error names the argument and shows how to pass it."""
    with pytest.raises(
        InputError, match=r"batch_id is .*; it must be text or a UUID. Pass batch_id=str"
    ):
        id_text(value, "batch_id")


@pytest.mark.parametrize("value", ["transfer:1", "gate:default", 7])
def test_task_ids_of_the_ledger_itself_are_refused(value: Any) -> None:
    """A generation cannot have the id of another kind of entry."""
    with pytest.raises(InputError):
        check_task_id(value)
    assert str(ID) == check_task_id(ID)


@pytest.mark.parametrize(
    "value",
    ["", " ", "a b", "a\n", "a\0", "\ud83d", "x" * 201, "/vendors/x/1", "https://h/1", 7, None],
    ids=repr,
)
def test_a_remote_id_that_cannot_be_asked_for_is_refused(value: Any) -> None:
    """The error names the argument and what is wrong with it."""
    with pytest.raises(InputError, match="remote_id"):
        check_remote_id(value)


@pytest.mark.parametrize("value", ["a/b", "x?y#z", "100%", "..", "x" * 200], ids=repr)
def test_any_other_remote_id_is_asked_for(value: Any) -> None:
    """What the API returned as an id is accepted again: status checks escape it."""
    assert value == check_remote_id(value)
    assert str(ID) == check_remote_id(ID)


@pytest.mark.parametrize("size", [0, -1, "3", 1.5, True, ID])
def test_batch_size_is_a_number_of_generations(size: Any) -> None:
    """The ledger counts with it."""
    with pytest.raises(InputError, match="batch_size is"):
        _ = CallOptions(batch_id="b", batch_size=size).batch
    assert (str(ID), 3) == CallOptions(batch_id=ID, batch_size=3).batch  # type: ignore[arg-type]
