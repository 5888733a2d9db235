"""A real list of 1,632 prompts, every one paid once, whatever is killed in between."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from support.fleet import Fleet
from support.waiting import wait_until

from mulequeue.ledger import Batch
from mulequeue.workflows import generate_many

MODEL = "alibaba/wan2.6-t2i"
PROMPTS_FILE = Path(__file__).parents[3] / "shared" / "data" / "PartiPrompts.tsv"
COUNT = 1632
PROCESSES = 4

# A killed worker's messages are back after ten seconds instead of two minutes.
SHORT_VISIBILITY = """
broker_transport_options = {
    "visibility_timeout": 10, "unacked_restore_interval": 2, "unacked_restore_throttle": 1
}
"""

pytestmark = pytest.mark.skipif(
    not PROMPTS_FILE.exists(), reason=f"{PROMPTS_FILE.name} is not beside this checkout"
)


def _prompts() -> list[str]:
    """The first column, as it is: split on tabs and newlines, nothing unquoted."""
    lines = PROMPTS_FILE.read_bytes().decode().split("\n")
    assert "Prompt" == lines[0].split("\t")[0]
    return [line.removesuffix("\r").split("\t")[0] for line in lines[1:] if line]


def _pictures(folder: Path) -> list[Path]:
    """Every file under a storage, each decoded to its last byte."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    for path in files:
        with Image.open(path) as image:
            image.load()
    return files


def _assert_each_was_sent_once(fleet: Fleet, created: int) -> None:
    stats = fleet.emulator.stats()
    assert created == stats["created"]
    assert 0 == stats["duplicates"]
    assert 0 == stats["auth_leaks"]


@pytest.fixture
def big_fleet(make_fleet: Callable[..., Fleet]) -> Fleet:
    """Generations take 2 to 5 seconds; a lost submission is known as such after 25."""
    env = {"MULEQUEUE_SUBMIT_TIMEOUT_SECONDS": "10"}
    return make_fleet(min_seconds=2, max_seconds=5, env=env, celeryconfig=SHORT_VISIBILITY)


def _send_batch(batch_id: str) -> str:
    """Answers the id of the task that gathers the members' results."""
    inputs = [{"prompt": prompt} for prompt in _prompts()]
    return str(generate_many(MODEL, inputs, batch_id=batch_id).delay().id)


def _finished(fleet: Fleet, batch_id: str) -> Batch:
    """The batch, once each member has its outcome and each success its file."""

    def look() -> Batch | None:
        batch = fleet.ledger.batch(batch_id)
        assert batch is not None
        is_done = batch.over == COUNT and batch.downloaded == batch.counts.get("succeeded", 0)
        return batch if is_done else None

    return wait_until(look, seconds=180, every=0.2, what="the batch")


def test_1632_prompts_become_1632_pictures(big_fleet: Fleet, tmp_path: Path) -> None:
    """``mulequeue batch`` makes a picture of every prompt; each is sent once, byte for byte."""
    big_fleet.worker("-c", str(PROCESSES))
    output = tmp_path / "pictures"

    command = [sys.executable, "-m", "mulequeue", "batch", str(PROMPTS_FILE), "--json"]
    command += ["--model", MODEL, "--column", "Prompt", "--output", str(output)]
    done = subprocess.run(command, env=big_fleet.env, capture_output=True, text=True, timeout=240)

    assert 0 == done.returncode, done.stderr[-2000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert (COUNT, COUNT, COUNT) == (said["submitted"], said["succeeded"], said["files"])
    assert COUNT == len(_pictures(output))
    sent = [create["body"] for create in big_fleet.emulator.creates()]
    assert sorted(_prompts()) == sorted(body["prompt"] for body in sent)
    assert {("prompt",)} == {tuple(body) for body in sent}
    _assert_each_was_sent_once(big_fleet, created=COUNT)


def test_killed_while_submitting(big_fleet: Fleet) -> None:
    """SIGKILL of the whole worker amid the submissions: at most one unknown per process."""
    first = big_fleet.worker("-c", str(PROCESSES))
    body_id = _send_batch("killed")

    big_fleet.emulator.wait(created=COUNT // 4)
    first.kill()
    big_fleet.worker("-c", str(PROCESSES))
    batch = _finished(big_fleet, "killed")

    succeeded, unknown = batch.counts["succeeded"], batch.counts.get("submit_unknown", 0)
    print("succeeded:", succeeded, "submit_unknown:", unknown)
    assert COUNT == succeeded + unknown
    assert unknown <= PROCESSES
    assert succeeded == len(_pictures(big_fleet.storage))
    assert succeeded <= big_fleet.emulator.stats()["created"] <= COUNT
    _assert_each_was_sent_once(big_fleet, created=big_fleet.emulator.stats()["created"])
    assert COUNT == len(big_fleet.app.AsyncResult(body_id).get(timeout=60))


def test_killed_after_the_last_submission(big_fleet: Fleet) -> None:
    """SIGKILL of the whole worker once every id is recorded: 1,632 pictures all the same."""
    first = big_fleet.worker("-c", str(PROCESSES))
    body_id = _send_batch("late")

    def all_recorded() -> bool:
        batch = big_fleet.ledger.batch("late")
        counts = batch.counts if batch else {}
        return COUNT == counts.get("generating", 0) + counts.get("succeeded", 0)

    wait_until(all_recorded, seconds=120, what="all ids to be recorded")
    first.kill()
    big_fleet.worker("-c", str(PROCESSES))
    batch = _finished(big_fleet, "late")

    assert COUNT == batch.counts["succeeded"]
    assert COUNT == len(_pictures(big_fleet.storage))
    _assert_each_was_sent_once(big_fleet, created=COUNT)
    assert COUNT == len(big_fleet.app.AsyncResult(body_id).get(timeout=60))
