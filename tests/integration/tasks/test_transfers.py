"""Repeated downloads and notifications, and what is the same on every repetition."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.fleet import Fleet
from support.generations import Log, new_id, one
from support.raw_server import RawServer
from support.waiting import wait_until

from mulequeue.engine.followups.attempts import Heartbeat
from mulequeue.engine.worker_context import worker_context
from mulequeue.errors import DownloadError
from mulequeue.ledger import Effects, Wake, pack


def test_same_download_message_twice_fetches_once(shared: Fleet, tmp_path: Path) -> None:
    """A download that is delivered again after its end does nothing, and starts nothing."""
    notes = str(tmp_path / "notes")
    outcome = one(shared).delay().get(timeout=30)
    download = shared.task("mulequeue.download", outcome)
    task_id, log = new_id(), Log(shared)
    note = shared.task("user.note", path=notes)
    download.apply_async(task_id=task_id, link=note).get(timeout=30)
    wait_until(lambda: shared.ledger.leases.result(task_id), what="the end of the download")

    download.apply_async(task_id=task_id, link=note)

    log.wait_for(f"Task mulequeue.download[{task_id}] ignored")
    assert 1 == shared.emulator.stats()["downloads"]
    assert "ran\n" == Path(notes).read_text()


def test_same_notification_message_twice_tells_once(shared: Fleet, receiver: RawServer) -> None:
    """A notification that is delivered again after its end is not sent again."""
    outcome = one(shared).delay().get(timeout=30)
    notify = shared.task("mulequeue.notify", outcome, f"{receiver.url}/hook")
    task_id, log = new_id(), Log(shared)
    notify.apply_async(task_id=task_id).get(timeout=30)
    wait_until(lambda: shared.ledger.leases.result(task_id), what="the end of the notification")

    notify.apply_async(task_id=task_id)

    log.wait_for(f"Task mulequeue.notify[{task_id}] ignored")
    assert 1 == len(receiver.requests)


@pytest.mark.parametrize("name", ["download", "generate_from", "gather"])
def test_same_message_that_has_nothing_to_do_twice(
    shared: Fleet, tmp_path: Path, name: str
) -> None:
    """An outcome that did not succeed is passed on once, and what follows runs once."""
    notes = str(tmp_path / "notes")
    failed = {"task_id": "t", "status": "failed", "error": {"title": "no"}}
    given = ["alibaba/wan2.6-i2v", {"prompt": "more"}] if name == "generate_from" else []
    passing = shared.task(f"mulequeue.{name}", failed, *given)
    task_id, log = new_id(), Log(shared)
    note = shared.task("user.note", path=notes)
    assert failed == passing.apply_async(task_id=task_id, link=note).get(timeout=30)
    wait_until(lambda: shared.ledger.leases.result(task_id), what="the end")

    passing.apply_async(task_id=task_id, link=note)

    log.wait_for(f"Task mulequeue.{name}[{task_id}] ignored")
    assert "ran\n" == Path(notes).read_text()


def test_revoked_download_has_no_other_attempt(shared: Fleet) -> None:
    """Celery's own revoke ends a download between two attempts as REVOKED."""
    shared.emulator.faults(downloads=[{"do": "status", "status": 503}])
    task_id, log = new_id(), Log(shared)
    download = shared.task("mulequeue.download", one(shared).delay().get(timeout=30))
    result = download.apply_async(task_id=task_id)
    log.wait_for("mulequeue.download failed; retrying in")

    shared.app.control.revoke(task_id)

    log.wait_for(f"Discarding revoked task: mulequeue.download[{task_id}]")
    wait_until(lambda: result.state == "REVOKED", what="REVOKED")
    due, name = f"{shared.ledger.prefix}due", f"transfer:{task_id}"
    wait_until(lambda: shared.redis.client.zscore(due, name) is None, what="no other attempt")


def test_what_cannot_be_published_is_not_expected(shared: Fleet) -> None:
    """A follower with wrong arguments fails its chain, and is not published for ever after."""
    chain = one(shared) | shared.task("mulequeue.notify")

    result = chain.delay()

    with pytest.raises(TypeError):
        result.parent.get(timeout=30)
    due = shared.redis.client.zrange(f"{shared.ledger.prefix}due", 0, -1)
    assert [] == [name for name in due if name.startswith(b"transfer:")]


def test_a_wake_that_cannot_be_made_holds_up_no_other(shared: Fleet) -> None:
    """What cannot be published is logged, and what stands behind it in the ledger goes out."""
    ctx, task_id = worker_context(shared.app), new_id()
    bad = shared.task("mulequeue.notify", 1, 2, 3, 4)
    good = shared.task("user.noop").set(task_id=task_id)

    ctx.carry_out(Effects((Wake("bad", pack(bad)), Wake(task_id, pack(good))))).result()

    assert shared.app.AsyncResult(task_id).get(timeout=30)


def test_download_that_runs_twice_at_once_is_done_once(shared: Fleet) -> None:
    """A second message of a download that is under way leaves it alone."""
    outcome = one(shared).delay().get(timeout=30)
    shared.emulator.faults(downloads=[{"do": "hold"}])
    download = shared.task("mulequeue.download", outcome)
    task_id, log = new_id(), Log(shared)
    result = download.apply_async(task_id=task_id)
    shared.emulator.wait(held_downloads=1)

    download.apply_async(task_id=task_id)
    log.wait_for(f"Task mulequeue.download[{task_id}] ignored")
    shared.emulator.release()

    assert result.get(timeout=30)["files"]
    assert 1 == shared.emulator.stats()["downloads"]


def test_repeated_dispatch_names_the_same_things(shared: Fleet, receiver: RawServer) -> None:
    """Another download and notification of one outcome have the same file and notification id."""
    outcome = one(shared).delay().get(timeout=30)
    download = shared.task("mulequeue.download", outcome)
    tell = shared.task("mulequeue.notify", outcome, f"{receiver.url}/hook")

    files = [download.delay().get(timeout=30)["files"] for _ in range(2)]
    assert [outcome] * 2 == [tell.delay().get(timeout=30) for _ in range(2)]

    assert files[0] == files[1]
    assert [urlsplit(files[0][0]["url"]).path] == [
        str(path) for path in shared.storage.rglob("*") if outcome["remote_id"] in str(path.parent)
    ]
    ids = [request.headers["webhook-id"] for request in receiver.requests]
    assert ids[0] == ids[1]
    assert receiver.requests[0].body == receiver.requests[1].body


def test_failed_attempt_is_repeated(shared: Fleet) -> None:
    """A download that fails once is tried again, and its slot is free meanwhile."""
    shared.emulator.faults(downloads=[{"do": "status", "status": 503, "count": 1}])
    log = Log(shared)

    outcome = (one(shared) | shared.task("mulequeue.download")).delay().get(timeout=30)

    assert outcome["files"]
    log.wait_for("mulequeue.download failed; retrying in")


def test_refused_target_fails_at_once(shared: Fleet) -> None:
    """A notification to what is no web address fails with the reason, and is not repeated."""
    result = shared.task(
        "mulequeue.notify", {"task_id": "t", "status": "failed"}, "ftp://x"
    ).delay()

    with pytest.raises(Exception, match="target of a notification is refused"):
        result.get(timeout=30)


def test_lost_asset_fails_the_download(shared: Fleet) -> None:
    """An asset that is gone for good fails its download; the generation's outcome stays."""
    shared.emulator.faults(asset_seconds=0.0, asset_renewal=False)

    result = (one(shared) | shared.task("mulequeue.download")).delay()

    assert "succeeded" == result.parent.get(timeout=30)["status"]
    with pytest.raises(DownloadError):
        result.get(timeout=30)


def test_leases_are_kept_while_transfers_run(shared: Fleet) -> None:
    """However many run in a process, one thread renews all of their leases, and no longer."""
    ctx, run = worker_context(shared.app), new_id()
    ids = [new_id() for _ in range(5)]
    for task_id in ids:
        ctx.ledger.leases.begin(task_id, run, dict(shared.task("user.noop")))

    def ends() -> list[float]:
        due = f"{shared.ledger.prefix}due"
        return [shared.redis.client.zscore(due, f"transfer:{task_id}") for task_id in ids]

    with ExitStack() as stack:
        for task_id in ids:
            stack.enter_context(Heartbeat(ctx, task_id, run, seconds=0.02))
        before = ends()
        wait_until(lambda: all(new > old for new, old in zip(ends(), before, strict=True)))
        assert 1 == sum(thread.name == "mulequeue-leases" for thread in threading.enumerate())

    wait_until(lambda: all(thread.name != "mulequeue-leases" for thread in threading.enumerate()))
    for task_id in ids:
        assert ctx.ledger.leases.end(task_id, run, {}, ttl_seconds=60)
