"""The page about failures, as an operator follows it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

from support.fleet import Fleet
from support.pages import DOCS, blocks
from support.waiting import wait_until

from mulequeue.ledger import Record
from mulequeue.outcome import OUTCOME_STATUSES

PAGE = "howto/failures.md"
MODEL = "alibaba/wan2.6-t2i"
SHOWN_ID = "0b8e6a52-6c1f-4d53-9d0c-5a3f0c7e1b11"


def text() -> str:
    return (DOCS / PAGE).read_text()


def test_the_page_names_every_outcome() -> None:
    """Each has a row that says what to do."""
    assert [] == [name for name in OUTCOME_STATUSES if f"\n| `{name}` |" not in text()]


def test_every_piece_of_python_runs() -> None:
    """Each piece runs by itself."""
    pieces = [block.text for block in blocks(PAGE) if block.language == "python"]

    assert pieces
    for text in pieces:
        exec(compile(text, PAGE, "exec"), {"__name__": "piece"})


def plant(fleet: Fleet) -> str:
    """The page's generations; the id of the one whose answer is lost."""
    fleet.emulator.faults(
        lives=[
            {"contains": "never", "end": "never"},
            {"contains": "slow", "seconds": 3},
            {"seconds": 0},
        ],
        creates=[
            {"contains": "lost", "do": "drop_after", "count": 1},
            {"contains": "refused", "do": "status", "status": 422, "count": 1},
        ],
    )
    for task_id, prompt, max_wait in (
        ("order-16", "refused", 600),
        ("order-17", "slow", 0.5),
        ("order-18", "lost", 600),
        ("order-19", "never", 600),
    ):
        call = {"max_wait": max_wait, "poll_interval": 0.2, "on_failure": "return"}
        task = fleet.task("mulequeue.generate", MODEL, {"prompt": prompt}, **call)
        task.apply_async(task_id=task_id)
    for task_id, state in (
        ("order-16", "delivered"),
        ("order-17", "delivered"),
        ("order-18", "delivered"),
        ("order-19", "generating"),
    ):
        fleet.wait_for_state(task_id, state)
    (lost,) = (sent for sent in fleet.emulator.generations() if sent["prompt"] == "lost")
    return str(lost["remote_id"])


def test_every_command_of_the_page_works(make_fleet: Callable[..., Fleet]) -> None:
    """What timed out and what was lost is fetched, what runs is cancelled, a new one is made."""
    fleet = make_fleet(persistent=True)
    fleet.worker("-P", "threads", "-c", "4")
    lost = plant(fleet)
    said: dict[str, str] = {}

    for command in (command for block in blocks(PAGE) for command in block.commands):
        words = command.replace(SHOWN_ID, lost).removeprefix("mulequeue ")
        done = subprocess.run(
            ["bash", "-c", f'"{sys.executable}" -m mulequeue {words}'],
            cwd=fleet.folder,
            env=fleet.env,
            capture_output=True,
            text=True,
            timeout=60,
        )
        # status tells by its exit code that the generation did not succeed.
        assert int(words.startswith("status ")) == done.returncode, f"{command}\n{done}"
        said[words.split(" --output")[0]] = done.stdout

    assert "order-17" in said["list --status timed_out"]
    assert "order-18" in said["list --status submit_unknown"]
    assert "timed out" in said["status order-17"]
    for words in ("resume order-17", f"adopt {MODEL} {lost}"):
        (task_id,) = re.findall(r"as task (\S+)\.", said[words])
        wait_until(lambda task_id=task_id: stored(fleet.ledger.queries.record(task_id)), what=words)
    assert "cancelled" == fleet.wait_for_state("order-19", "delivered").status
    for task_id in ("order-16", "order-18"):
        assert "succeeded" == fleet.wait_for_state(task_id, "delivered").status
    assert 6 == fleet.emulator.stats()["creates"]


def stored(record: Record | None) -> bool:
    return record is not None and len(record.files) > 0
