"""``mulequeue batch`` as a user has it: a real program, a real worker, the emulator over HTTP."""

from __future__ import annotations

import json
import signal
import subprocess

from support.fleet import Fleet
from support.program import SUMMARY, Run, command


def prompts_sent(fleet: Fleet) -> list[str]:
    return sorted(sent["body"]["prompt"] for sent in fleet.emulator.creates())


def test_a_batch_makes_a_file_of_every_prompt(fleet: Fleet, cli: Run) -> None:
    """The prompts of a TSV arrive byte for byte, the files are stored, one JSON object is printed."""
    fleet.worker()
    (fleet.folder / "p.tsv").write_text('Prompt\tNote\n a "quoted" mule \tx\nfox\ty\nowl, red\tz\n')

    done = cli("batch", "p.tsv", "--output", "pictures", "--json")

    summary = json.loads(done.stdout)
    assert 0 == done.returncode, done.stderr
    assert SUMMARY == list(summary)
    assert (3, 3, 3) == (summary["submitted"], summary["succeeded"], summary["files"])
    assert [' a "quoted" mule ', "fox", "owl, red"] == prompts_sent(fleet)
    assert 3 == len(list((fleet.folder / "pictures").rglob("*.png")))


def test_the_same_batch_again_is_paid_once(fleet: Fleet, cli: Run) -> None:
    """A second run with the same --batch-id finds the first one's generations."""
    fleet.worker()
    given = ("batch", "-", "--batch-id", "mine", "--json")

    first = cli(*given, stdin="a\nb\n")
    second = cli(*given, stdin="a\nb\n")

    assert (0, 0) == (first.returncode, second.returncode), first.stderr + second.stderr
    assert json.loads(first.stdout)["files"] == json.loads(second.stdout)["files"] == 2
    assert 2 == fleet.emulator.stats()["creates"]


def test_an_empty_batch_id_is_refused(fleet: Fleet, cli: Run) -> None:
    """A name that a script left empty would make a new batch, and be paid, at every run."""
    done = cli("batch", "-", "--batch-id", "", stdin="a\n")

    assert 1 == done.returncode
    assert "--batch-id is empty" in done.stderr
    assert 0 == fleet.emulator.stats()["creates"]


def test_the_same_batch_id_for_other_prompts_is_rejected(fleet: Fleet, cli: Run) -> None:
    """A batch id that is taken by other prompts is an error, and nothing is sent."""
    fleet.worker()
    cli("batch", "-", "--batch-id", "mine", stdin="a\nb\n")

    other = cli("batch", "-", "--batch-id", "mine", stdin="a\nd\n")

    assert 1 == other.returncode
    assert "was made from other prompts" in other.stderr
    assert 2 == fleet.emulator.stats()["creates"]


def test_a_failure_is_told_and_counted(fleet: Fleet, cli: Run) -> None:
    """One refused prompt leaves the others alone; exit code 1, and the reason on standard error."""
    fleet.worker()
    fleet.emulator.faults(creates=[{"do": "status", "status": 400, "count": 1}])

    done = cli("batch", "-", "--json", stdin="a\nb\nc\n")

    summary = json.loads(done.stdout)
    assert 1 == done.returncode
    assert (2, 1) == (summary["succeeded"], summary["failed"])
    assert " failed: " in done.stderr


def test_a_batch_that_still_runs_at_max_wait_exits_with_2(fleet: Fleet, cli: Run) -> None:
    """Without a worker nothing ends; the command says how to start one and how to go on."""
    done = cli("batch", "-", "--max-wait", "6", "--json", "--batch-id", "late", stdin="a\nb\n")

    assert 2 == done.returncode
    assert 2 == json.loads(done.stdout)["submitted"]
    assert (
        "No worker answers. Start one in another terminal: celery -A mulequeue worker"
        in done.stderr
    )
    assert "mulequeue status late --wait" in done.stderr


def test_a_batch_goes_on_after_ctrl_c(fleet: Fleet, cli: Run) -> None:
    """Ctrl-C ends the watching only: exit code 130, the way to go on, and the files arrive."""
    fleet.worker()
    fleet.emulator.faults(creates=[{"do": "hold"}] * 2)
    (fleet.folder / "p.txt").write_text("a\nb\n")
    program = subprocess.Popen(
        command("batch", "p.txt", "--batch-id", "stopped"),
        env=fleet.env,
        cwd=fleet.folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    fleet.emulator.wait(held_creates=2)

    program.send_signal(signal.SIGINT)
    _, errors = program.communicate(timeout=30)

    assert 130 == program.returncode
    assert "mulequeue status stopped --wait" in errors
    fleet.emulator.release()
    waited = cli("status", "stopped", "--wait", "--json")
    assert (0, 2) == (waited.returncode, json.loads(waited.stdout)["files"]), waited.stderr


def test_a_local_batch_needs_no_worker(fleet: Fleet, cli: Run) -> None:
    """--local makes the generations in the program itself, and the ledger stays empty."""
    done = cli("batch", "-", "--local", "--json", "--output", "here", stdin="a\nb\n")

    assert 0 == done.returncode, done.stderr
    assert (2, 2) == tuple(json.loads(done.stdout)[key] for key in ("succeeded", "files"))
    assert {} == {name: count for name, count in fleet.ledger.queries.counts().items() if count}
