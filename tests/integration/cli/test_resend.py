"""A message that the broker lost is sent again by who watches the batch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from support.fleet import Fleet
from support.waiting import wait_until


def test_a_batch_whose_message_is_lost_is_made_all_the_same(fleet: Fleet, tmp_path: Path) -> None:
    """The message of a batch vanishes from the queue: five are made in the end, five are paid."""
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("".join(f"a mule, number {number}\n" for number in range(5)))
    command = [
        sys.executable,
        "-m",
        "mulequeue",
        "batch",
        str(prompts),
        "--json",
        "--batch-id",
        "b",
    ]
    command += ["--output", str(tmp_path / "out")]
    batch = subprocess.Popen(command, env=fleet.env, stdout=subprocess.PIPE, text=True)
    wait_until(lambda: fleet.redis.client.llen("celery") == 1, what="its message in the queue")

    fleet.redis.client.rpop("celery")
    fleet.worker()
    told, _ = batch.communicate(timeout=90)

    summary = json.loads(told.splitlines()[-1])
    assert (0, 5, 5) == (batch.returncode, summary["succeeded"], summary["files"])
    stats = fleet.emulator.stats()
    assert (5, 0) == (stats["created"], stats["duplicates"])
