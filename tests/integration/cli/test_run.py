"""``mulequeue run`` and what is typed after it: ``status``, ``cancel``, ``list``, ``resume``."""

from __future__ import annotations

import json

from support.fleet import Fleet
from support.generations import MODEL
from support.program import Run, runs_in


def test_run_prints_the_file(fleet: Fleet, cli: Run) -> None:
    """The one line on standard output is where the file is."""
    fleet.worker()

    done = cli("run", MODEL, "a mule", "--param", "n=1", "--output", "pictures")

    assert 0 == done.returncode, done.stderr
    (file,) = (fleet.folder / "pictures").rglob("*.png")
    assert file.as_uri() == done.stdout.strip()
    assert [{"prompt": "a mule", "n": 1}] == [sent["body"] for sent in fleet.emulator.creates()]


def test_run_no_wait_prints_the_id_and_a_line_that_waits(fleet: Fleet, cli: Run) -> None:
    """--no-wait ends before any worker runs; the line waits for the worker and the end."""
    done = cli("run", MODEL, "a mule", "--no-wait")
    task_id, _, line = done.stdout.splitlines()
    queued = cli("status", task_id.split()[1])
    fleet.worker()
    waited = cli(*line.split()[1:])

    assert 0 == done.returncode, done.stderr
    assert "queued; no worker has received it" in queued.stdout
    assert 0 == waited.returncode, waited.stderr
    assert task_id.split()[1] in waited.stdout


def test_a_snapshot_of_something_running_exits_with_0(fleet: Fleet, cli: Run) -> None:
    """status without --wait tells how it stands; running is no failure."""
    fleet.worker()
    fleet.emulator.faults(creates=[{"do": "hold"}])
    fleet.task("mulequeue.generate", MODEL, {"prompt": "a"}).apply_async(task_id="slow")
    fleet.emulator.wait(held_creates=1)

    shown = cli("status", "slow", "--json")

    assert (0, "submitting") == (shown.returncode, json.loads(shown.stdout)["status"])
    fleet.emulator.release()
    assert 0 == cli("status", "slow", "--wait").returncode


def test_a_typed_file_is_sent_with_local(fleet: Fleet, cli: Run) -> None:
    """``@path`` is read from the typed folder and sent as a data URI."""
    (fleet.folder / "mule.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 32)

    done = cli("run", "alibaba/wan2.6-i2v", "walk", "--local", "--param", "image=@mule.png")

    assert 0 == done.returncode, done.stderr
    (sent,) = fleet.emulator.creates()
    assert sent["body"]["image"].startswith("data:image/png;base64,iVBOR")


def test_status_of_an_unknown_id(fleet: Fleet, cli: Run) -> None:
    """An id that nobody knows is an error, here and at the API."""
    ctx = cli("status", "nobody")
    there = cli("status", MODEL, "nobody")

    assert (1, 1) == (ctx.returncode, there.returncode)
    assert "has no task, batch or remote id nobody" in ctx.stderr
    assert "has no generation nobody" in there.stderr


def test_cancel_resume_and_list(fleet: Fleet, cli: Run) -> None:
    """A cancelled generation that was submitted is listed, taken up again and stored."""
    fleet.worker()
    fleet.emulator.faults(lives=[{"end": "never"}])
    fleet.task("mulequeue.generate", MODEL, {"prompt": "a"}).apply_async(task_id="long")
    fleet.wait_for_state("long", "generating")

    left = cli("cancel", "long", "--waiting")
    cancelled = cli("cancel", "long")
    listed = cli("list", "--status", "cancelled", "--json")
    resumed = cli("resume", "long", "--output", "again")
    task_id = resumed.stdout.split("task ")[1].split(".")[0]
    (generation,) = fleet.emulator.generations()
    fleet.emulator.finish(generation["remote_id"])
    waited = cli("status", task_id, "--wait")

    assert "1 unchanged: already generating\n" == left.stdout
    assert "the generation continues at the API" in cancelled.stdout
    assert ["long"] == [item["task_id"] for item in json.loads(listed.stdout)]
    assert 0 == waited.returncode, waited.stderr
    assert 1 == fleet.emulator.stats()["creates"]


def test_the_same_commands_under_celery(fleet: Fleet) -> None:
    """``celery -A proj mulequeue`` uses the project's app."""
    (fleet.folder / "proj.py").write_text(
        "from celery import Celery\n"
        f"app = Celery('proj', broker={fleet.redis.url!r})\n"
        "app.conf.mulequeue_fleet = 'of-the-project'\n"
    )
    under_celery = runs_in(fleet.folder, fleet.env, "celery", "-A", "proj", "mulequeue")

    shown = under_celery("status")

    assert "fleet of-the-project" == shown.stdout.splitlines()[0], shown.stderr


def test_a_rejected_key_is_reported_at_once(fleet: Fleet, cli: Run) -> None:
    """The progress gives the reason and the fix; at --max-wait it exits with 2, and nothing failed."""
    fleet.emulator.faults(require_key="sk-mr-another")
    fleet.worker()

    done = cli("run", MODEL, "a mule", "--max-wait", "5")

    assert 2 == done.returncode
    assert "Submissions are paused: the API rejects the API key" in done.stderr
    assert "Give the workers a valid key and restart them" in done.stderr
    assert {"waiting": 1} == {k: n for k, n in fleet.ledger.queries.counts().items() if n}


def test_a_key_of_the_other_site_is_reported_before_it_is_used(fleet: Fleet, cli: Run) -> None:
    """The prefix of a key names its site; the workers may have another key, so it is a warning."""
    fleet.env |= {
        "MULEROUTER_API_KEY": "muk-0123456789",
        "MULEROUTER_BASE_URL": "https://api.mulerouter.ai",
    }

    done = cli("run", MODEL, "a mule", "--max-wait", "1")

    assert 2 == done.returncode
    assert "Warning: The key of profile default (muk-…) belongs to mulerun" in done.stderr


def test_metadata_is_in_the_outcome_and_in_the_list(fleet: Fleet, cli: Run) -> None:
    """``--metadata`` of run and batch is shown by --json and by list."""
    fleet.worker()
    (fleet.folder / "prompts.txt").write_text("a fox\n")

    done = cli("run", MODEL, "a mule", "-p", "n=1", "--metadata", "sku=A-1", "--json")
    cli("batch", "prompts.txt", "-p", "n=1", "--metadata", "sku=B-2", "--json")

    assert {"sku": "A-1"} == json.loads(done.stdout)["metadata"], done.stderr
    listed = {item["prompt"]: item["metadata"] for item in json.loads(cli("list", "--json").stdout)}
    assert {"a mule": {"sku": "A-1"}, "a fox": {"sku": "B-2"}} == listed
