"""The command line as a user has it: a real program, a real worker, the emulator over HTTP."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.fleet import Fleet, environment
from support.program import Run, command, program_in
from support.waiting import wait_until

MODEL = "alibaba/wan2.6-t2i"
KEYS = [
    "submitted",
    "succeeded",
    "failed",
    "timed_out",
    "submit_unknown",
    "cancelled",
    "files",
    "seconds",
    "batch_id",
]


@pytest.fixture
def cli(fleet: Fleet) -> Run:
    """Runs the program in the fleet's folder and environment."""
    return program_in(fleet)


def prompts_sent(fleet: Fleet) -> list[str]:
    return sorted(sent["body"]["prompt"] for sent in fleet.emulator.creates())


# batch


def test_a_batch_makes_a_file_of_every_prompt(fleet: Fleet, cli: Run) -> None:
    """The prompts of a TSV arrive byte for byte, the files are stored, one JSON object is printed."""
    fleet.worker()
    (fleet.folder / "p.tsv").write_text('Prompt\tNote\n a "quoted" mule \tx\nfox\ty\nowl, red\tz\n')

    done = cli("batch", "p.tsv", "--output", "pictures", "--json")

    summary = json.loads(done.stdout)
    assert 0 == done.returncode, done.stderr
    assert KEYS == list(summary)
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


def test_the_same_batch_id_for_other_prompts_is_refused(fleet: Fleet, cli: Run) -> None:
    """A batch id that is taken by other prompts is an error, and nothing is sent."""
    fleet.worker()
    cli("batch", "-", "--batch-id", "mine", stdin="a\nb\n")

    other = cli("batch", "-", "--batch-id", "mine", stdin="c\nd\n")

    assert 1 == other.returncode
    assert "was made of other prompts" in other.stderr
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


def test_a_batch_goes_on_after_ctrl_c(fleet: Fleet) -> None:
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
    waited = subprocess.run(
        command("status", "stopped", "--wait", "--json"),
        env=fleet.env,
        cwd=fleet.folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (0, 2) == (waited.returncode, json.loads(waited.stdout)["files"]), waited.stderr


def test_a_local_batch_needs_no_worker(fleet: Fleet, cli: Run) -> None:
    """--local makes the generations in the program itself, and the ledger stays empty."""
    done = cli("batch", "-", "--local", "--json", "--output", "here", stdin="a\nb\n")

    assert 0 == done.returncode, done.stderr
    assert (2, 2) == tuple(json.loads(done.stdout)[key] for key in ("succeeded", "files"))
    assert {} == {name: count for name, count in fleet.ledger.counts().items() if count}


# run and status


def test_run_prints_the_file(fleet: Fleet, cli: Run) -> None:
    """The one line on standard output is where the file is."""
    fleet.worker()

    done = cli("run", MODEL, "a mule", "--extra", "n=1", "--output", "pictures")

    assert 0 == done.returncode, done.stderr
    (file,) = (fleet.folder / "pictures").rglob("*.png")
    assert file.as_uri() == done.stdout.strip()
    assert [{"prompt": "a mule", "n": 1}] == [sent["body"] for sent in fleet.emulator.creates()]


def test_run_no_wait_prints_a_line_that_works_without_redis(fleet: Fleet, cli: Run) -> None:
    """--no-wait prints api_path, remote id, and a status line that asks the API itself."""
    fleet.worker()

    done = cli("run", MODEL, "a mule", "--no-wait")
    path, remote_id, line = done.stdout.splitlines()

    assert "/vendors/alibaba/v1/wan2.6-t2i/generation" == path.split()[1]
    fleet.env["MULEQUEUE_REDIS_URL"] = "redis://127.0.0.1:9/0"
    waited = cli(*line.split()[1:])
    assert 0 == waited.returncode, waited.stderr
    assert waited.stdout.startswith("http://")
    assert remote_id.split()[1] in line


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

    done = cli("run", "alibaba/wan2.6-i2v", "walk", "--local", "--extra", "image=@mule.png")

    assert 0 == done.returncode, done.stderr
    (sent,) = fleet.emulator.creates()
    assert sent["body"]["image"].startswith("data:image/png;base64,iVBOR")


def test_status_of_an_unknown_id(fleet: Fleet, cli: Run) -> None:
    """An id that nobody knows is an error, here and at the API."""
    here = cli("status", "nobody")
    there = cli("status", MODEL, "nobody")

    assert (1, 1) == (here.returncode, there.returncode)
    assert "knows no task, batch or remote id nobody" in here.stderr
    assert "knows no generation nobody" in there.stderr


def test_cancel_resume_and_list(fleet: Fleet, cli: Run) -> None:
    """A cancelled generation that was submitted is listed, taken up again and stored."""
    fleet.worker()
    fleet.emulator.faults(lives=[{"end": "never"}])
    fleet.task("mulequeue.generate", MODEL, {"prompt": "a"}).apply_async(task_id="long")
    fleet.wait_for_state("long", "generating")

    cancelled = cli("cancel", "long")
    listed = cli("list", "--status", "cancelled", "--json")
    resumed = cli("resume", "long", "--output", "again")
    task_id = resumed.stdout.split("task ")[1].split(".")[0]
    (generation,) = fleet.emulator.generations()
    fleet.emulator.finish(generation["remote_id"])
    waited = cli("status", task_id, "--wait")

    assert "the API goes on with it" in cancelled.stdout
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

    shown = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "proj", "mulequeue", "status"],
        env=fleet.env,
        cwd=fleet.folder,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert "fleet of-the-project" == shown.stdout.splitlines()[0], shown.stderr


# demo


def demo(folder: Path, *arguments: str, **env: str) -> Any:
    return subprocess.Popen(
        command("demo", *arguments),
        env=environment(env),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_demo_leaves_pictures_and_a_page(tmp_path: Path) -> None:
    """A whole fleet comes and goes; pictures, a page with a verified notification, one JSON object."""
    program = demo(tmp_path, "--count", "3", "--json")

    out, errors = program.communicate(timeout=120)

    summary = json.loads(out.splitlines()[-1])
    assert 0 == program.returncode, errors
    assert KEYS == list(summary)
    assert (3, 3, 3) == (summary["submitted"], summary["succeeded"], summary["files"])
    page = (tmp_path / "demo-output" / "index.html").read_text()
    assert 3 == page.count("<img ")
    assert "Signature verified" in page
    assert "<!--" not in page
    for source in page.split('<img src="')[1:]:
        assert (tmp_path / "demo-output" / source.split('"')[0]).exists()


def test_the_demo_leaves_nothing_on_a_redis_of_the_users(tmp_path: Path, redis_server: Any) -> None:
    """With MULEQUEUE_REDIS_URL it works there, and takes its ledger and queues along."""
    program = demo(tmp_path, "--count", "1", "--json", MULEQUEUE_REDIS_URL=redis_server.url)

    _, errors = program.communicate(timeout=120)

    assert 0 == program.returncode, errors
    from redis import Redis

    with Redis.from_url(redis_server.url) as client:
        assert [] == list(client.scan_iter("*demo-*"))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_nothing_outlives_the_demo(tmp_path: Path, number: int, code: int) -> None:
    """Redis, worker and emulator end with it, also when it is killed."""
    program = demo(tmp_path)
    family = wait_until(lambda: _family(program.pid), seconds=60, what="the demo's processes")

    program.send_signal(number)
    program.communicate(timeout=60)

    assert code == program.returncode
    _, alive = psutil.wait_procs(family, timeout=30)
    assert [] == alive


def _family(pid: int) -> list[psutil.Process]:
    """All that the demo started, once its worker has its pool; else nothing."""
    found = psutil.Process(pid).children(recursive=True)
    workers = [child for child in found if "celery" in " ".join(_words(child))]
    return found if len(workers) >= 3 else []


def _words(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []
