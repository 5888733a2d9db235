"""``mulequeue retry``, and the same ``mulequeue batch`` once more."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.fleet import Fleet
from support.program import Run, program_in
from support.user_tasks import save
from support.waiting import wait_until

from mulequeue import generate_many
from mulequeue.tasks.batch_ids import member_id

MODEL = "alibaba/wan2.6-t2i"
PROMPTS = "a mule\nbad one\nbad two\n"
BATCH = ("batch", "prompts.txt", "--batch-id", "shop", "-p", "n=1", "--output", "out", "--json")
PRICES = 'mulequeue_prices = {"alibaba/wan2.6-t2i": {"unit": "image", "usd": 0.5}}'
REFUSED = {"do": "status", "status": 422, "contains": "bad"}


@pytest.fixture
def refused(fleet: Fleet, cli: Run) -> Fleet:
    """A fleet that has made one of three pictures; two were refused."""
    (fleet.folder / "prompts.txt").write_text(PROMPTS)
    fleet.emulator.faults(creates=[REFUSED])
    fleet.worker()
    first = cli(*BATCH)
    assert (1, 2) == (first.returncode, json.loads(first.stdout.splitlines()[-1])["failed"])
    fleet.emulator.faults(creates=[])
    return fleet


def test_the_same_command_makes_what_was_refused(refused: Fleet, cli: Run) -> None:
    """Once the reason is gone, the same --batch-id ends with every picture, each paid once."""
    done = cli(*BATCH)

    summary = json.loads(done.stdout.splitlines()[-1])
    assert (0, 3, 3) == (done.returncode, summary["succeeded"], summary["files"]), done.stderr
    assert "2 refused generations retried" in done.stderr
    assert 3 == refused.emulator.stats()["created"]
    assert 3 == len(list(Path(refused.folder / "out").rglob("*.png")))


def test_retry_of_a_batch_and_of_the_start_of_an_id(refused: Fleet, cli: Run) -> None:
    """``--dry-run`` shows what the command then does; the rest is left, with the reason."""
    shown = json.loads(cli("retry", "sho", "--dry-run", "--json").stdout)
    done = cli("retry", "shop")
    waited = cli("status", "shop", "--wait", "--json")

    assert [member_id("shop", 1), member_id("shop", 2)] == shown["unpaid"]
    assert {member_id("shop", 0): "it succeeded"} == shown["left"]
    assert "2 generations run again; nothing was billed." in done.stdout
    assert "1 left: it succeeded" in done.stdout
    assert (0, 3) == (waited.returncode, json.loads(waited.stdout)["files"])
    assert 3 == refused.emulator.stats()["created"]


def test_what_was_paid_is_shown_before_it_is_sent(make_fleet: Callable[..., Fleet]) -> None:
    """Without --failed it is left, exit 1; with it the number and the cost come first."""
    fleet = make_fleet(celeryconfig=PRICES)
    cli = program_in(fleet)
    (fleet.folder / "prompts.txt").write_text(PROMPTS)
    fleet.emulator.faults(lives=[{"contains": "bad", "end": "failed"}])
    fleet.worker()
    cli(*BATCH)
    fleet.emulator.faults(lives=[])

    left = cli("retry", "shop")
    before = fleet.emulator.stats()["creates"]
    done = cli("retry", "shop", "--failed")

    assert (1, 3) == (left.returncode, before)
    assert "nothing to retry" in left.stderr
    assert "(--failed)" in left.stderr
    assert "2 generations may be billed a second time" in done.stderr
    assert "all: 1.00 USD (estimate)" in done.stderr
    assert 0 == cli("status", "shop", "--wait").returncode


@pytest.mark.parametrize("command", ["retry", "resume", "status", "cancel"])
def test_an_unknown_id_is_one_line_and_reserves_nothing(
    fleet: Fleet, cli: Run, command: str
) -> None:
    """Exit 1; the id is as free as before."""
    done = cli(command, "typo")

    assert (1, 1) == (done.returncode, len(done.stderr.splitlines())), done.stderr
    assert "has no task, batch or remote id typo" in done.stderr
    assert not list(fleet.redis.client.scan_iter("*typo*"))


def test_an_id_that_will_come_is_cancelled_in_advance(fleet: Fleet, cli: Run) -> None:
    """With the flag it is reserved: its message is never submitted."""
    done = cli("cancel", "later", "--in-advance")
    fleet.worker()
    fleet.task("mulequeue.generate", MODEL, {"prompt": "a"}).apply_async(task_id="later")

    assert 0 == done.returncode, done.stderr
    assert "cancelled" == fleet.wait_for_state("later", "delivered").status
    assert 0 == fleet.emulator.stats()["creates"]


def test_any_id_that_is_printed_is_taken(fleet: Fleet, cli: Run) -> None:
    """Task id, remote id and the unique start of both."""
    fleet.worker()
    printed = cli("run", MODEL, "a mule", "--no-wait", "--json")
    task_id = json.loads(printed.stdout)["task_id"]
    remote_id = fleet.wait_for_state(task_id, "delivered").remote_id

    for name in (task_id, task_id[:9], remote_id, remote_id[:9]):
        for command in (("status", name), ("list", name)):
            shown = cli(*command, "--json")
            assert 0 == shown.returncode, shown.stderr
            assert task_id in shown.stdout


def test_the_start_of_several_ids_is_an_error(fleet: Fleet, cli: Run) -> None:
    """It names them."""
    for name in ("order-1", "order-2"):
        fleet.ledger.generations.cancel(name, ttl_seconds=60)

    done = cli("status", "order")

    assert 1 == done.returncode
    assert "is the start of several ids: order-1, order-2" in done.stderr


def test_a_task_of_each_that_was_given_up(fleet: Fleet, cli: Run, tmp_path: Path) -> None:
    """``status`` of the member and of the batch show it with the command that calls it again."""
    fleet.worker("-P", "threads", "-c", "2")
    path = tmp_path / "saved"
    each = save.s(str(path), fails=1, is_final=True)
    batch = generate_many(MODEL, [{"prompt": "a", "n": 1}], batch_id="b", each=each)
    batch.delay().get(timeout=60)
    wait_until(lambda: fleet.ledger.queries.record("b-000000").each_error, what="the end of it")

    member, whole = cli("status", "b-000000"), cli("status", "b")
    assert "each       no row" in member.stdout
    assert "mulequeue retry b-000000" in member.stderr
    assert "The task of each was given up for 1 member. Call it again:" in whole.stderr
    shown, done = cli("retry", "b", "--dry-run"), cli("retry", "b")
    assert "1 call of each would be repeated; nothing is billed." in shown.stdout
    assert (0, "1 call of each is repeated; nothing is billed.\n") == (done.returncode, done.stdout)
    wait_until(lambda: 2 == len(path.read_text().splitlines()), what="the second call")
    again = cli("retry", "b")
    assert (1, True) == (again.returncode, "There is nothing to retry" in again.stderr)


def test_a_chord_that_is_not_called_again_is_named_before(fleet: Fleet, cli: Run) -> None:
    """With ``--dry-run``, and before the generation runs again."""
    fleet.worker("-P", "threads", "-c", "2")
    fleet.emulator.faults(creates=[REFUSED])
    call = {"on_failure": "return", "poll_interval": 0.1}
    header = [
        fleet.task("mulequeue.generate", MODEL, {"prompt": prompt}, **call).set(task_id=prompt)
        for prompt in ("good", "bad")
    ]
    fleet.chord(header, fleet.task("user.collect"))().get(timeout=60)
    fleet.emulator.faults(creates=[])

    shown, done = cli("retry", "bad", "--dry-run"), cli("retry", "bad")

    note = "1 generation of a chord that has received the failure: its body is not called again."
    assert (0, True) == (shown.returncode, note in shown.stdout), shown.stderr
    assert (0, True) == (done.returncode, note in done.stderr), done.stderr
