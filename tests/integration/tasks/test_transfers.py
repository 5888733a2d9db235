"""Repeated downloads and notifications, and what is the same on every repetition."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.fleet import Fleet
from support.generations import Log, new_id, one
from support.raw_server import RawServer, http, raw_server
from support.waiting import wait_until

from mulequeue.engine.delivery import Heartbeat
from mulequeue.engine.following_tasks import tail_of_message
from mulequeue.engine.worker_context import worker_context
from mulequeue.ledger import Effects, Wake, pack

FAILED = {"task_id": "t", "status": "failed", "remote_id": "r", "files": [], "assets": []}


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


def test_repeated_message_makes_no_early_attempt(shared: Fleet) -> None:
    """Messages that are delivered again between two attempts are no attempts."""
    with raw_server(http("500 Oops")) as server:
        notify = shared.task("mulequeue.notify", FAILED, f"{server.url}/hook")
        task_id, log = new_id(), Log(shared)
        notify.apply_async(task_id=task_id)
        log.wait_for("mulequeue.notify failed; retrying in")

        for repeated in range(1, 5):
            notify.apply_async(task_id=task_id)
            log.wait_for(f"Task mulequeue.notify[{task_id}] ignored", times=repeated + 1)

    assert 1 == len(server.requests)
    assert (
        "1"
        == shared.redis.client.hget(
            f"{shared.ledger.prefix}transfer:{task_id}", "attempts"
        ).decode()
    )


def deliver_again(fleet: Fleet, task_id: str) -> None:
    """Let what is due later be due now."""
    now = fleet.ledger.queries.now()
    fleet.redis.client.zadd(f"{fleet.ledger.prefix}due", {f"transfer:{task_id}": now})
    worker_context(fleet.app).carry_out(Effects(poll_by=now)).result()


@pytest.mark.parametrize("name", ["notify", "download"])
def test_what_follows_a_transfer_and_cannot_be_dispatched(
    shared: Fleet, receiver: RawServer, name: str
) -> None:
    """Its dispatch is repeated five times, the transfer itself never, and then it fails with the cause."""
    outcome = one(shared).delay().get(timeout=30)
    given = (outcome, f"{receiver.url}/hook") if name == "notify" else (outcome,)
    unpublishable = shared.task("user.collect").set(serializer="no-such-serializer")
    transfer, task_id, log = shared.task(f"mulequeue.{name}", *given), new_id(), Log(shared)
    result = transfer.apply_async(task_id=task_id, link=unpublishable)
    for deliveries in range(1, 6):
        log.wait_for("could not be dispatched; repeating that", times=deliveries)
        deliver_again(shared, task_id)

    wait_until(lambda: shared.ledger.leases.result(task_id), what="the end")

    assert "Given up after 5 deliveries" in shared.ledger.leases.result(task_id)["error"]
    assert "SerializerNotInstalled" in str(result.info)
    made = len(receiver.requests) if name == "notify" else shared.emulator.stats()["downloads"]
    assert 1 == made
    record = shared.ledger.queries.record(outcome["task_id"])
    assert "Given up after 5 deliveries" in getattr(
        record, "file_error" if name == "download" else "notify_error"
    )


@pytest.mark.parametrize("name", ["generate", "download"])
def test_lease_lasts_as_long_as_the_publish(shared: Fleet, name: str) -> None:
    """While Celery waits for the broker to take what follows, the task's lease is renewed."""
    task_id, log = new_id(), Log(shared)
    if name == "generate":
        task, ready = one(shared), 2  # it is delivered twice: to submit, and to return its outcome
    else:
        task, ready = shared.task("mulequeue.download", one(shared).delay().get(timeout=30)), 1
    late = shared.task("user.late").set(task_id=new_id())

    task.apply_async(task_id=task_id, link=late)

    assert shared.app.AsyncResult(late.options["task_id"]).get(timeout=30)["assets"]
    log.wait_for(f"mulequeue.{name}[{task_id}] succeeded")
    assert ready == log.text.count(f"mulequeue.{name}[{task_id}] received")


def test_value_of_an_attempt_survives_its_worker(shared: Fleet, tmp_path: Path) -> None:
    """What a killed worker had stored is not downloaded again: the next one goes on with it."""
    notes, outcome = str(tmp_path / "notes"), one(shared).delay().get(timeout=30)
    task_id, run, leases = new_id(), new_id(), shared.ledger.leases
    download = shared.task("mulequeue.download", outcome).set(task_id=task_id)
    stored = [{"url": "file:///a.png", "kind": "image", "media_type": "image/png", "bytes": 7}]
    note = shared.task("user.note", path=notes)
    leases.begin(task_id, run, dict(download), tail=tail_of_message({"link": note}))
    leases.decide(task_id, run, {"value": stored}, is_dispatching=False)

    result = download.apply_async(link=note)

    assert stored == result.get(timeout=30)["files"]
    wait_until(lambda: Path(notes).exists(), what="what follows")
    assert 0 == shared.emulator.stats()["downloads"]


def test_leases_are_kept_while_transfers_run(shared: Fleet) -> None:
    """However many run in a process, one thread renews all of their leases, and no longer."""
    ctx, run = worker_context(shared.app), new_id()
    leases, ids = ctx.ledger.leases, [new_id() for _ in range(5)]
    for task_id in ids:
        leases.begin(task_id, run, dict(shared.task("user.noop")))

    def ends() -> list[float]:
        due = f"{shared.ledger.prefix}due"
        return [shared.redis.client.zscore(due, f"transfer:{task_id}") for task_id in ids]

    beats = [
        Heartbeat(ctx, partial(leases.keep, task_id, run), seconds=0.02, most_seconds=60)
        for task_id in ids
    ]
    before = ends()
    wait_until(lambda: all(new > old for new, old in zip(ends(), before, strict=True)))
    assert 1 == sum(thread.name == "mulequeue-leases" for thread in threading.enumerate())
    for beat in beats:
        beat.stop()

    wait_until(lambda: all(thread.name != "mulequeue-leases" for thread in threading.enumerate()))
    for task_id in ids:
        assert leases.end(task_id, run, {}, ttl_seconds=60)


def test_a_lease_that_nobody_ends_lapses(shared: Fleet) -> None:
    """A heartbeat that is never stopped ends by itself, so that another worker can take over."""
    ctx, beats = worker_context(shared.app), []

    Heartbeat(ctx, lambda: beats.append(1), seconds=0.01, most_seconds=0.05)

    wait_until(lambda: all(thread.name != "mulequeue-leases" for thread in threading.enumerate()))
    assert beats
