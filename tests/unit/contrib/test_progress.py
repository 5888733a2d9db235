"""What pages are told: streams of events, and generations as JSON."""

from __future__ import annotations

import asyncio
import json

import fsspec
import pytest
from redis.exceptions import ConnectionError

from mulequeue.contrib.progress import (
    events,
    events_async,
    generation_json,
    members_done,
    open_file,
)
from mulequeue.ledger import Batch, Record
from mulequeue.outcome import File
from mulequeue.settings import Settings


def looks(*seen):
    """A look that gives these, one after the other; an exception is raised."""
    left = list(seen)

    def look():
        now = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(now, Exception):
            raise now
        return now

    return look


def parsed(stream):
    """``(name, data)`` of each event, and what else was sent as ``(None, text)``."""
    found = []
    for text in stream:
        assert text.endswith("\n\n")
        name, _, data = text.strip().partition("\ndata: ")
        is_event = name.startswith("event: ")
        found.append((name.removeprefix("event: "), json.loads(data)) if is_event else (None, name))
    return found


def test_only_changes_are_told_and_the_end_ends_it():
    """What was seen before is not sent again; the last look comes as progress and as the end."""
    one, two = {"done": 1, "is_over": False}, {"done": 2, "is_over": True}

    told = parsed(events(looks(one, one, one, two), every=0))

    assert [(None, "retry: 1000"), ("progress", one), ("progress", two), ("end", two)] == told


def test_a_stream_is_given_up_before_its_batch_is():
    """Without time left it ends after one look, so that no thread is held; the browser comes again."""
    told = parsed(events(looks({"is_over": False}), seconds=0, every=0))

    assert [(None, "retry: 1000"), ("progress", {"is_over": False})] == told


def test_a_redis_that_is_away_does_not_end_it():
    """The stream says so once, goes on, and tells what it sees when Redis is back."""
    over = {"is_over": True}

    told = parsed(events(looks(ConnectionError("away"), ConnectionError("away"), over), every=0))

    assert ["away", "progress", "end"] == [name for name, _ in told if name]


def test_it_is_the_same_for_an_asgi_server():
    """The asynchronous stream tells the same."""
    seen = [{"is_over": False, "done": 1}, ConnectionError("away"), {"is_over": True, "done": 2}]

    async def collected():
        return [text async for text in events_async(looks(*seen), every=0)]

    assert list(events(looks(*seen), every=0)) == asyncio.run(collected())


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
    """A success counts when its download is over; everything else that ended counts at once."""
    batch = Batch(
        batch_id="b",
        size=3,
        counts=counts,
        files=downloaded,
        downloaded=downloaded,
        is_cancelled=False,
        created=0.0,
    )

    assert done == members_done(batch)


def test_no_path_of_the_server_is_told():
    """A page gets the application's URL of a file, and of the storage nothing."""
    stored = File(url="file:///srv/secret/a.png", kind="image", media_type="image/png", bytes=3)
    record = Record(task_id="t", state="delivered", status="succeeded", files=(stored,))

    told = generation_json(record, lambda task_id, number: f"/files/{task_id}/{number}")

    assert "/files/t/0" == told["files"][0]["url"]
    assert "srv" not in json.dumps(told)


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
def test_a_generation_says_where_it_stands(state, status, seen, reason):
    """Its state, whether it is over, and a sentence where it did not succeed."""
    error = {"type": "GenerationFailed", "code": 3001, "detail": "Not this one."}
    answer = {"error": error} if status == "failed" else {}
    record = Record(task_id="t", state=state, status=status, answer=answer)

    told = generation_json(record, lambda *_: "")

    assert seen == (told["state"], told["is_over"])
    assert reason is None if told["error"] is None else reason in told["error"]


def test_a_file_is_read_from_the_storage_it_is_in():
    """Whatever its protocol, and without the options of another one."""
    with fsspec.open("memory://shelf/a.bin", "wb") as written:
        written.write(b"abc")
    stored = File(url="memory://shelf/a.bin", kind="image", media_type="image/png", bytes=3)

    with open_file(stored, Settings(storage="s3://x", storage_options={"key": "k"})) as opened:
        opened.seek(1)
        assert b"bc" == opened.read()
