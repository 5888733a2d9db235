"""Event streams and generations as JSON for web pages."""

from __future__ import annotations

import asyncio
import json

import fsspec
import pytest
from redis.exceptions import ConnectionError

from mulequeue.contrib import progress
from mulequeue.contrib.files import open_file
from mulequeue.contrib.progress import (
    events,
    events_async,
    generation_json,
)
from mulequeue.ledger import Batch, Record
from mulequeue.outcome import File
from mulequeue.settings import Settings


def reads(*seen):
    """Make a ``read`` that returns these values one after the other, or raises them."""
    left = list(seen)

    def read():
        now = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(now, Exception):
            raise now
        return now

    return read


def parsed(stream):
    """Return ``(name, data)`` of each event, and ``(None, text)`` of each other line."""
    found = []
    for text in stream:
        assert text.endswith("\n\n")
        name, _, data = text.strip().partition("\ndata: ")
        is_event = name.startswith("event: ")
        found.append((name.removeprefix("event: "), json.loads(data)) if is_event else (None, name))
    return found


def test_only_changes_are_sent_and_the_stream_ends_with_the_batch():
    """An unchanged state is not sent again; the last state is sent as progress and as end."""
    one, two = {"done": 1, "is_over": False}, {"done": 2, "is_over": True}

    found = parsed(events(reads(one, one, one, two), every=0))

    assert [(None, "retry: 1000"), ("progress", one), ("progress", two), ("end", two)] == found


def test_a_stream_of_an_unknown_batch_ends_after_a_while(monkeypatch):
    """A process that notes nothing may have enqueued it; a worker that receives it makes it known."""
    unknown = {"state": "unknown", "is_over": True}
    over = {"state": "over", "is_over": True}

    began = parsed(events(reads(unknown, unknown, over), every=0))
    monkeypatch.setattr(progress, "UNKNOWN_SECONDS", 0.0)
    never = parsed(events(reads(unknown), every=0))

    assert [("progress", unknown), ("progress", over), ("end", over)] == began[1:]
    assert [("progress", unknown), ("end", unknown)] == never[1:]


def test_a_stream_has_a_time_limit():
    """When its time is over, it ends after one read and releases its thread."""
    found = parsed(events(reads({"is_over": False}), seconds=0, every=0))

    assert [(None, "retry: 1000"), ("progress", {"is_over": False})] == found


def test_a_stream_survives_a_redis_that_does_not_answer():
    """It sends ``away`` once, and the state when Redis answers again."""
    over = {"is_over": True}

    found = parsed(events(reads(ConnectionError("away"), ConnectionError("away"), over), every=0))

    assert ["away", "progress", "end"] == [name for name, _ in found if name]


def test_the_asynchronous_stream_is_the_same():
    """An ASGI server sends the same events."""
    seen = [{"is_over": False, "done": 1}, ConnectionError("away"), {"is_over": True, "done": 2}]

    async def collected():
        return [text async for text in events_async(reads(*seen), every=0)]

    assert list(events(reads(*seen), every=0)) == asyncio.run(collected())


@pytest.mark.parametrize(
    ("counts", "downloaded", "done"),
    [
        ({"generating": 3}, 0, 0),
        ({"succeeded": 3}, 0, 0),
        ({"succeeded": 2, "failed": 1}, 1, 2),
        ({"succeeded": 2, "timed_out": 1}, 2, 3),
        ({"cancelled": 3}, 0, 3),
    ],
)
def test_a_member_is_done_with_its_files(counts, downloaded, done):
    """A success counts when its download is finished, any other outcome at once."""
    batch = Batch(
        batch_id="b",
        size=3,
        counts=counts,
        files=downloaded,
        downloaded=downloaded,
        is_cancelled=False,
        created=0.0,
    )

    assert done == batch.done


def test_no_path_of_the_server_is_revealed():
    """The JSON contains the application's URL of a file and not its storage location."""
    stored = File(url="file:///srv/secret/a.png", kind="image", media_type="image/png", bytes=3)
    record = Record(task_id="t", state="delivered", status="succeeded", files=(stored,))

    found = generation_json(record, lambda task_id, number: f"/files/{task_id}/{number}")

    assert "/files/t/0" == found["files"][0]["url"]
    assert "srv" not in json.dumps(found)


@pytest.mark.parametrize(
    ("state", "status", "seen", "reason"),
    [
        ("generating", None, ("generating", False), None),
        ("tombstone", None, ("cancelled", True), None),
        ("delivered", "succeeded", ("succeeded", True), None),
        ("settled", "failed", ("failed", True), "Not this one. (3001)"),
        ("settled", "timed_out", ("timed_out", True), "resume"),
    ],
)
def test_a_generation_as_json(state, status, seen, reason):
    """It contains the state, whether it is finished, and the reason of a failure."""
    error = {"type": "GenerationFailed", "code": 3001, "detail": "Not this one."}
    answer = {"error": error} if status == "failed" else {}
    record = Record(task_id="t", state=state, status=status, answer=answer)

    found = generation_json(record, lambda *_: "")

    assert seen == (found["state"], found["is_over"])
    assert reason is None if found["error"] is None else reason in found["error"]


def test_a_file_is_read_from_the_storage_it_is_in():
    """It is opened by its own protocol, without the options of the configured storage."""
    with fsspec.open("memory://shelf/a.bin", "wb") as written:
        written.write(b"abc")
    stored = File(url="memory://shelf/a.bin", kind="image", media_type="image/png", bytes=3)

    with open_file(stored, Settings(storage="s3://x", storage_options={"key": "k"})) as opened:
        opened.seek(1)
        assert b"bc" == opened.read()
