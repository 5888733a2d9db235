"""Signatures as the ledger keeps them."""

from __future__ import annotations

import base64
import datetime
import json
import uuid
from typing import Any

import pytest

from mulequeue.ledger import pack, unpack

SIGNATURE = {
    "task": "mulequeue.generate",
    "args": ["alibaba/wan2.6-t2i", {"prompt": "Ein Maultier — 一匹骡子"}],
    "options": {"task_id": "order-7", "headers": {"mulequeue_epoch": "0123456789ab"}},
}
RELEASED = "F(bO9!CIss*Ojio+RqnMC1(QbshCnD149!aWs+)O5L0SuY-|}*YMGd52xKRj8YqEd7e{IbW~S64U2`SEv14FpWNcz;W^Q4bn50x&TMGa"


@pytest.mark.parametrize(
    "signature",
    [
        {},
        SIGNATURE,
        {"args": ["x" * 1_000_000]},
        {"args": ["\x00\ud7ff\U0001f434 \\ \" '"]},
        {"options": {"priority": 0, "chain": None, "countdown": 0.5, "group_id": ""}},
    ],
)
def test_what_is_packed_comes_back(signature: dict[str, Any]) -> None:
    """A signature is the same after it was packed and unpacked, whatever its text."""
    assert signature == unpack(pack(signature))


def test_stamps_may_hold_more_than_json() -> None:
    """Datetimes and UUIDs, which stamps and headers may hold, survive."""
    at = datetime.datetime(2026, 2, 3, 4, 5, tzinfo=datetime.UTC)
    name = uuid.UUID(int=7)

    options = unpack(pack({"options": {"eta": at, "stamp": name}}))["options"]

    assert {"eta": at, "stamp": name} == options


def test_a_blob_of_another_day_is_still_read() -> None:
    """What lies in somebody's Redis is read by every later version."""
    assert SIGNATURE == unpack(base64.b85decode(RELEASED))


def test_an_unknown_version_is_refused() -> None:
    """A blob of a newer version is named as such, instead of being read as rubbish."""
    with pytest.raises(ValueError, match="unknown version"):
        unpack(b"2" + pack(SIGNATURE)[1:])


def test_a_parked_member_of_a_batch_is_small() -> None:
    """A chord member with a download and a notifying body takes a fifth of its JSON."""
    ids = [str(uuid.UUID(int=7**70 * n % 2**128)) for n in (1, 2, 3)]
    body = {
        "task": "mulequeue.notify",
        "args": ["https://shop.example/hooks/generations"],
        "kwargs": {},
        "options": {"task_id": "08463df0cead-body", "reply_to": ids[0], "group_id": ids[1]},
        "subtask_type": None,
        "immutable": False,
    }
    download = {
        "task": "mulequeue.download",
        "args": [],
        "kwargs": {},
        "options": {"task_id": ids[2], "reply_to": ids[0], "group_id": ids[1], "chord": body},
        "subtask_type": None,
        "immutable": False,
    }
    member = {
        "task": "mulequeue.generate",
        "args": ["alibaba/wan2.6-t2i", None],
        "kwargs": {"on_failure": "return", "batch_id": "08463df0cead", "batch_size": 20},
        "options": {"task_id": "08463df0cead-000007", "chain": [download], "reply_to": ids[0]},
        "subtask_type": None,
        "immutable": False,
    }

    assert 5 * len(pack(member)) < len(json.dumps(member))
