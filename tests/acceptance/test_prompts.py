"""A real list of 1,632 prompts, every one paid once, whatever is killed in between."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.fleet import Fleet
from support.waiting import wait_until

MODEL = "alibaba/wan2.6-t2i"
PROMPTS_FILE = Path(__file__).parents[3] / "shared" / "data" / "PartiPrompts.tsv"
COUNT = 1632
FEWER = 400  # where a worker is killed: what matters is what was under way at that moment
BATCH = "prompts"
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


class BatchCommand:
    """``mulequeue batch`` over the first prompts of the list, running."""

    def __init__(self, fleet: Fleet, folder: Path, count: int) -> None:
        lines = PROMPTS_FILE.read_bytes().split(b"\n")[: count + 1]
        file = folder / "prompts.tsv"
        file.write_bytes(b"\n".join(lines) + b"\n")
        self.output = folder / "pictures"
        command = [sys.executable, "-m", "mulequeue", "batch", str(file), "--json"]
        command += ["--model", MODEL, "--column", "Prompt", "--output", str(self.output)]
        self._process = subprocess.Popen(
            [*command, "--batch-id", BATCH],
            env=fleet.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self) -> tuple[int, dict[str, Any]]:
        """The exit code and the object of ``--json``."""
        told, errors = self._process.communicate(timeout=240)
        print(errors[-2000:])
        return self._process.returncode, json.loads(told.splitlines()[-1])


def test_1632_prompts_become_1632_pictures(big_fleet: Fleet, tmp_path: Path) -> None:
    """``mulequeue batch`` makes a picture of every prompt; each is sent once, byte for byte."""
    big_fleet.worker("-c", str(PROCESSES))

    batch = BatchCommand(big_fleet, tmp_path, COUNT)
    code, said = batch.finish()

    assert 0 == code
    assert (COUNT, COUNT, COUNT) == (said["submitted"], said["succeeded"], said["files"])
    assert COUNT == len(_pictures(batch.output))
    sent = [create["body"] for create in big_fleet.emulator.creates()]
    assert sorted(_prompts()) == sorted(body["prompt"] for body in sent)
    assert {("prompt",)} == {tuple(body) for body in sent}
    _assert_each_was_sent_once(big_fleet, created=COUNT)


def test_killed_while_submitting(big_fleet: Fleet, tmp_path: Path) -> None:
    """SIGKILL of the whole worker amid the submissions: at most one unknown per process."""
    first = big_fleet.worker("-c", str(PROCESSES))
    batch = BatchCommand(big_fleet, tmp_path, FEWER)

    big_fleet.emulator.wait(created=FEWER // 4)
    first.kill()
    big_fleet.worker("-c", str(PROCESSES))
    code, said = batch.finish()

    created = big_fleet.emulator.stats()["created"]
    assert FEWER == said["succeeded"] + said["submit_unknown"]
    assert said["submit_unknown"] <= PROCESSES
    assert (0 if said["submit_unknown"] == 0 else 1) == code
    assert said["succeeded"] == said["files"] == len(_pictures(batch.output))
    assert said["succeeded"] <= created <= FEWER
    _assert_each_was_sent_once(big_fleet, created=created)


def test_killed_after_the_last_submission(big_fleet: Fleet, tmp_path: Path) -> None:
    """SIGKILL of the whole worker once every id is recorded: every picture all the same."""
    first = big_fleet.worker("-c", str(PROCESSES))
    batch = BatchCommand(big_fleet, tmp_path, FEWER)

    def all_recorded() -> bool:
        found = big_fleet.ledger.queries.batch(BATCH)
        counts = found.counts if found else {}
        return FEWER == counts.get("generating", 0) + counts.get("succeeded", 0)

    wait_until(all_recorded, seconds=120, what="all ids to be recorded")
    first.kill()
    big_fleet.worker("-c", str(PROCESSES))
    code, said = batch.finish()

    assert (0, FEWER, FEWER) == (code, said["succeeded"], said["files"])
    assert FEWER == len(_pictures(batch.output))
    _assert_each_was_sent_once(big_fleet, created=FEWER)
