"""A task of the user that is called per member of a batch, with the outcome of that member."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from celery import Celery, chain
from support.fleet import Fleet
from support.generations import MODEL, Log, new_id, one
from support.user_tasks import collect, save
from support.waiting import wait_until

import mulequeue
from mulequeue.errors import InputError
from mulequeue.outcome import Outcome
from mulequeue.tasks.batch_ids import member_id
from mulequeue.tasks.canvases import generate_many
from mulequeue.tasks.each_calls import each_call, each_signature


def many(prompts: list[str], **options: Any) -> Any:
    inputs = [{"prompt": prompt, "n": 1} for prompt in prompts]
    return generate_many(MODEL, inputs, poll_interval=0.1, **options)


def saved(path: Path, count: int) -> list[dict[str, Any]]:
    """What the task of the user got, by task id, once it was called that often."""

    def read() -> list[dict[str, Any]]:
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    wait_until(lambda: len(read()) >= count, what=f"{count} calls of the task")
    return sorted(read(), key=lambda outcome: outcome["task_id"])


def test_it_gets_the_outcome_that_a_single_generation_has(shared: Fleet, tmp_path: Path) -> None:
    """Each member is given whole: files as objects, metadata, and the reason of a failure."""
    shared.emulator.faults(lives=[{"contains": "bad", "end": "failed"}])
    path, batch_id = tmp_path / "saved", new_id("batch")

    rows = [{"row": 1}, {"row": 2}]
    batch = many(["one", "bad"], batch_id=batch_id, metadata=rows, each=save.s(str(path)))
    members = batch.delay().get(timeout=60)

    good, bad = saved(path, 2)
    single = (one(shared) | shared.task("mulequeue.download")).delay().get(timeout=30)
    assert set(single) == set(good) == set(bad)
    assert set(single["files"][0]) == set(good["files"][0])
    assert [member_id(batch_id, 0), member_id(batch_id, 1)] == [good["task_id"], bad["task_id"]]
    assert rows == [good["metadata"], bad["metadata"]]
    assert ("failed", "GenerationFailed") == (bad["status"], bad["error"]["type"])
    assert [good["files"], []] == [member["files"] for member in members]
    assert bad["error"] == members[1]["error"]
    assert Outcome.from_dict(members[1]).error == Outcome.from_dict(bad).error


def test_it_is_called_before_the_batch_ends(shared: Fleet, tmp_path: Path) -> None:
    """A member that is stored is passed on while another one is still generated."""
    shared.emulator.faults(lives=[{"contains": "slow", "end": "never"}])
    path, batch_id = tmp_path / "saved", new_id("batch")

    many(["slow", "quick"], batch_id=batch_id, each=save.s(str(path))).delay()

    [quick] = saved(path, 1)
    assert (member_id(batch_id, 1), 1) == (quick["task_id"], len(quick["files"]))


def test_it_is_told_that_the_files_could_not_be_stored(shared: Fleet, tmp_path: Path) -> None:
    """A member whose file is gone has the status succeeded, no files, and the error."""
    redirect = {"contains": "gone", "do": "redirect", "location": "ftp://example.com/a.png"}
    shared.emulator.faults(downloads=[redirect])
    path = tmp_path / "saved"

    many(["gone"], each=save.s(str(path))).delay()

    [gone] = saved(path, 1)
    assert ("succeeded", [], "DownloadError") == (
        gone["status"],
        gone["files"],
        gone["error"]["type"],
    )
    assert "ftp" in gone["error"]["detail"]


def test_without_download_it_gets_the_assets(shared: Fleet, tmp_path: Path) -> None:
    """With download=False it is called as soon as the generation has ended."""
    path = tmp_path / "saved"

    many(["one"], download=False, each=save.s(str(path))).delay()

    [outcome] = saved(path, 1)
    assert (1, []) == (len(outcome["assets"]), outcome["files"])


def test_a_cancelled_member_is_passed_on(shared: Fleet, tmp_path: Path) -> None:
    """Members that are cancelled before they are sent are outcomes too."""
    path, batch_id = tmp_path / "saved", new_id("batch")
    mulequeue.pause(app=shared.app)
    many(["one", "two"], batch_id=batch_id, each=save.s(str(path))).delay()
    for index in range(2):
        shared.wait_for_state(member_id(batch_id, index), "waiting")

    mulequeue.cancel(batch_id, app=shared.app)

    assert ["cancelled"] * 2 == [outcome["status"] for outcome in saved(path, 2)]
    assert 0 == shared.emulator.stats()["creates"]


def test_an_error_of_it_is_retried(shared: Fleet, tmp_path: Path) -> None:
    """A task that raises is called again, and then no more."""
    path, batch_id, log = tmp_path / "saved", new_id("batch"), Log(shared)

    many(["one"], batch_id=batch_id, each=save.s(str(path), fails=1)).delay()

    first, second = saved(path, 2)
    assert first == second
    assert "ValueError" not in str(second["error"])
    each_id = f"{member_id(batch_id, 0)}-each"
    wait_until(lambda: shared.ledger.leases.result(each_id), what="the end of the call")
    log.wait_for("failed; retrying in")
    log.wait_for(f"Task user.save[{each_id}] succeeded")


def test_the_same_batch_twice_calls_it_once(shared: Fleet, tmp_path: Path) -> None:
    """A batch that is enqueued twice under one id calls the task once per member."""
    path, batch_id = tmp_path / "saved", new_id("batch")

    for _ in range(2):
        many(["one", "two"], batch_id=batch_id, each=save.s(str(path))).delay().get(timeout=60)

    saved(path, 2)
    again = many(["one", "two"], batch_id=batch_id, each=save.s(str(path)))
    again.delay().get(timeout=60)
    assert 2 == len(saved(path, 2))


def test_a_task_of_mulequeue_follows_the_member_itself(shared: Fleet) -> None:
    """A generating task in ``each`` makes a generation from the files of each member."""
    video = mulequeue.generate_from.s("alibaba/wan2.6-i2v", {"prompt": "walk"}, poll_interval=0.1)

    many(["one", "two"], each=video).delay().get(timeout=60)

    shared.emulator.wait(created=4)  # two pictures, two videos
    assert 4 == shared.emulator.stats()["creates"]


@pytest.mark.parametrize(
    ("each", "text"),
    [
        (mulequeue.tasks.definitions.generate.app.signature("user.nothing"), "not registered"),
        (chain(save.s("a"), collect.s()), "one task"),
        (save, "one task"),
        ("user.save", "one task"),
    ],
)
def test_what_cannot_be_called_is_refused(each: Any, text: str) -> None:
    """A task that is not registered, a canvas, and what is no signature are errors of the call."""
    with pytest.raises(InputError, match=text):
        many(["one"], each=each)


def test_it_goes_to_the_queue_of_the_task() -> None:
    """The message goes where the app sends the task of the user, under the name of that task."""
    app = Celery("routes", broker="memory://", set_as_current=False)
    app.conf.task_routes = {"user.save": {"queue": "rows"}}
    app.finalize()

    queues = [
        each_signature(app, each_call(app, each)).options
        for each in (save.s("a"), save.s("a").set(queue="mine"), collect.s())
    ]

    assert ["rows", "mine", "celery"] == [options["queue"] for options in queues]
    assert "user.save" == queues[0]["shadow"]
    app.close()


def test_it_waits_for_a_file_that_is_late(shared: Fleet, tmp_path: Path) -> None:
    """The batch goes on without a file that is not there yet; the task is called once, with the file."""
    late = {"contains": "late", "do": "status", "status": 404, "count": 5}
    shared.emulator.faults(downloads=[late])
    path = tmp_path / "saved"

    [member] = many(["late"], each=save.s(str(path))).delay().get(timeout=60)

    [outcome] = saved(path, 1)
    assert ([], "DownloadError") == (member["files"], member["error"]["type"])
    assert (1, None) == (len(outcome["files"]), outcome["error"])


def test_a_retried_member_is_passed_on_again(shared: Fleet, tmp_path: Path) -> None:
    """The task gets the failure, and after a retry the outcome that takes its place."""
    shared.emulator.faults(lives=[{"end": "failed"}])
    path, batch_id = tmp_path / "saved", new_id("batch")
    many(["one"], batch_id=batch_id, each=save.s(str(path))).delay().get(timeout=60)
    saved(path, 1)
    shared.wait_for_state(member_id(batch_id, 0), "delivered")
    shared.emulator.reset_faults()

    mulequeue.retry(batch_id, failed=True, app=shared.app)

    outcomes = saved(path, 2)
    assert {"failed", "succeeded"} == {outcome["status"] for outcome in outcomes}
    [good] = [outcome for outcome in outcomes if outcome["status"] == "succeeded"]
    assert 1 == len(good["files"])


def test_what_was_given_up_is_called_again_by_retry(shared: Fleet, tmp_path: Path) -> None:
    """A task that was given up is called once more, also by two retries; nothing is billed."""
    path, batch_id = tmp_path / "saved", new_id("batch")
    each = save.s(str(path), fails=1, is_final=True)
    many(["one", "two"], batch_id=batch_id, each=each).delay().get(timeout=60)
    members = [member_id(batch_id, index) for index in range(2)]
    saved(path, 2)

    def errors() -> list[str]:
        return [task_id for task_id in members if shared.ledger.queries.record(task_id).each_error]

    [given_up] = wait_until(errors, what="the end of the call")

    shown = mulequeue.retry(batch_id, dry_run=True, app=shared.app)
    done = mulequeue.retry(batch_id, app=shared.app)

    assert ((given_up,), ()) == (done.called, done.task_ids)
    assert (done.called, {*members} - {given_up}) == (shown.called, {*done.left})
    assert 2 == [outcome["task_id"] for outcome in saved(path, 3)].count(given_up)
    wait_until(lambda: not errors(), what="the error to be gone")
    with pytest.raises(InputError, match="it succeeded"):
        mulequeue.retry(given_up, app=shared.app)
    assert 3 == len(path.read_text().splitlines())
    assert 2 == shared.emulator.stats()["creates"]
