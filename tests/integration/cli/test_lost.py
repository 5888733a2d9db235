"""A wait for something that was lost ends, or goes on, with the reason and the command that puts it right."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest
from support.fleet import Fleet
from support.generations import MODEL, QUICK
from support.program import Run, command, program_in
from support.queues import creates_of
from support.waiting import wait_until

ROUTES = {
    "mulequeue.generate": {"queue": "members"},
    "mulequeue.generate_many": {"queue": "celery"},
}
OWN_QUEUE = f"task_routes = {ROUTES!r}"
MANY = 203
"""More members than one part of a batch."""


def watching(fleet: Fleet, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(*arguments), env=fleet.env, cwd=fleet.folder, stderr=subprocess.PIPE, text=True
    )


def test_a_batch_whose_task_is_gone_says_what_was_not_sent(
    make_fleet: Callable[..., Fleet],
) -> None:
    """The task of a batch is revoked after the first part: ``--wait`` ends, the same command sends the rest."""
    fleet = make_fleet(celeryconfig=OWN_QUEUE)
    cli = program_in(fleet)
    fleet.worker("-Q", "celery,mulequeue.poll,mulequeue.wake", *QUICK)
    (fleet.folder / "p.txt").write_text("".join(f"mule {number}\n" for number in range(MANY)))
    given = ("batch", "p.txt", "-p", "n=1", "--batch-id", "b", "--output", "out")
    first = watching(fleet, *given, "--quiet")
    wait_until(lambda: fleet.redis.client.llen(creates_of("members")) == 200, what="the first part")
    first.kill()
    first.communicate()
    digest = fleet.ledger.queries.batch("b").digest
    fleet.app.control.revoke(f"b-{digest[:8]}")
    wait_until(lambda: not fleet.ledger.leases.held([f"b-{digest[:8]}"]), what="the revocation")

    waited = cli("status", "b", "--wait", "--quiet")

    assert 1 == waited.returncode, waited.stderr
    words = " ".join(waited.stderr.split())
    assert "3 of 203 members of batch b were not sent" in words
    assert "with --batch-id b sends the rest" in words
    fleet.worker("-Q", "members", *QUICK)
    again = cli(*given)
    assert 0 == again.returncode, again.stderr
    assert "203 of 203 succeeded" in again.stdout
    assert (MANY, 0) == (fleet.emulator.stats()["created"], fleet.emulator.stats()["duplicates"])


def test_a_wait_without_a_worker_says_so(fleet: Fleet, cli: Run) -> None:
    """``status --wait`` names the command that starts a worker, and goes on when one is there."""
    cli("batch", "-", "--batch-id", "b", "--max-wait", "0.1", stdin="a mule\n")
    program = watching(fleet, "status", "b", "--wait", "--quiet")
    assert program.stderr is not None

    assert "No worker answers. Start one in another terminal:" in program.stderr.readline()

    fleet.worker(*QUICK)
    program.communicate(timeout=60)
    assert 0 == program.returncode


def test_an_emptied_ledger_ends_a_wait_for_a_message(fleet: Fleet, cli: Run) -> None:
    """Nothing can come of a batch that nobody knows: exit code 1, and the reason."""
    cli("batch", "-", "--batch-id", "b", "--max-wait", "0.1", stdin="a mule\n")
    program = watching(fleet, "status", "b", "--wait")
    assert program.stderr is not None
    assert "enqueued" in program.stderr.readline()

    fleet.redis.client.flushall()

    _, errors = program.communicate(timeout=60)
    assert (1, True) == (program.returncode, "The ledger does not know b any more" in errors)


@pytest.mark.parametrize("name", ["b", "b-000000"])
def test_an_emptied_ledger_ends_a_wait_for_what_runs(fleet: Fleet, cli: Run, name: str) -> None:
    """So does a batch or a generation that was submitted."""
    fleet.emulator.faults(lives=[{"end": "never"}])
    fleet.worker(*QUICK)
    cli("batch", "-", "--batch-id", "b", "--max-wait", "0.1", stdin="a mule\n")
    fleet.wait_for_state("b-000000", "generating")
    program = watching(fleet, "status", name, "--wait")
    assert program.stderr is not None
    assert "generating" in program.stderr.readline()

    fleet.redis.client.flushall()

    _, errors = program.communicate(timeout=60)
    assert (1, True) == (program.returncode, f"does not know {name} any more" in errors), errors


def test_a_generation_whose_message_is_lost_is_made_all_the_same(fleet: Fleet) -> None:
    """``run`` sends the message again under the same id: one create."""
    program = watching(fleet, "run", MODEL, "a mule", "-p", "n=1")
    wait_until(
        lambda: fleet.redis.client.llen(creates_of("celery")) == 1, what="its message in the queue"
    )

    fleet.redis.client.rpop(creates_of("celery"))
    fleet.worker(*QUICK)

    _, errors = program.communicate(timeout=90)
    assert 0 == program.returncode, errors
    assert 1 == fleet.emulator.stats()["creates"]
