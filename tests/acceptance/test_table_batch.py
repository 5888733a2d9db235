"""A table as a spreadsheet writes it becomes one file per row, also if the command is interrupted.

``TABLE_ROWS=5000`` in the environment makes it a large table.
"""

from __future__ import annotations

import csv
import io
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image
from support.fleet import Fleet
from support.program import command

ROWS = int(os.environ.get("TABLE_ROWS", "300"))
SENT = min(500, ROWS // 3)
"""Rows that are sent before the command is interrupted."""
LATER, USD, PROCESSES = "später", 0.05, 2
PRICES = f'mulequeue_prices = {{"alibaba/wan2.6-t2i": {{"unit": "image", "usd": {USD}}}}}'
SECONDS = 120 + ROWS / 5


def _row(number: int) -> tuple[str, str, str, str]:
    when = LATER if number >= SENT else "früh"
    prompt = f'Esel Nr. {number}, "{when}";\r\nvor dem Café'
    return f"E-{number:05}", prompt, str(number), ("1024*1024", "1280*720")[number % 2]


def _table() -> str:
    """Return what Excel writes in a country with a decimal comma."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=";", lineterminator="\r\n")
    writer.writerow(("SKU", "Prompt", "Seed", "Size"))
    writer.writerows(map(_row, range(ROWS)))
    return text.getvalue()


class Shop:
    """The folder of a table, and the command that makes a picture of every row."""

    def __init__(self, fleet: Fleet, encoding: str) -> None:
        self.fleet, self.encoding = fleet, encoding
        self.table("products.csv", _table())
        self.pictures = fleet.folder / "pictures"

    def table(self, name: str, text: str) -> None:
        (self.fleet.folder / name).write_bytes(text.encode(self.encoding))

    def start(self, table: str = "products.csv") -> subprocess.Popen[str]:
        given = ["batch", table, "-p", "n=1", "--batch-id", "shop", "--manifest", "out.csv"]
        given += ["--path", "{sku}.{ext}", "--output", "pictures"]
        given += ["--encoding", self.encoding] if self.encoding == "cp1252" else []
        return subprocess.Popen(
            command(*given),
            env=self.fleet.env,
            cwd=self.fleet.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, table: str = "products.csv") -> tuple[int, str]:
        """Return the exit code and what was printed."""
        program = self.start(table)
        out, errors = program.communicate(timeout=SECONDS)
        return program.returncode, out + errors

    def wait_until_some_are_sent(self) -> None:
        """Wait until the rows of the first part are sent, and each process holds a later one."""
        self.fleet.emulator.wait(held_creates=PROCESSES, timeout_seconds=SECONDS)

    @property
    def manifest(self) -> Path:
        return self.fleet.folder / "out.csv"

    def rows(self) -> list[dict[str, str]]:
        with self.manifest.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))


@pytest.fixture
def make_shop(make_fleet: Callable[..., Fleet]) -> Callable[[str], Shop]:
    """A worker, and an API that answers no later row until it is told to."""

    def make(encoding: str) -> Shop:
        fleet = make_fleet(celeryconfig=PRICES)
        fleet.emulator.faults(creates=[{"do": "hold", "contains": LATER}])
        fleet.worker("-c", str(PROCESSES))
        return Shop(fleet, encoding)

    return make


def _assert_each_row_was_sent_once(shop: Shop) -> None:
    """Assert that the API got every row once, with the parameters of its columns."""
    sent = [create["body"] for create in shop.fleet.emulator.creates()]
    expected: list[dict[str, Any]] = [
        {"prompt": prompt, "seed": int(seed), "size": size, "n": 1}
        for _, prompt, seed, size in map(_row, range(ROWS))
    ]
    assert expected == sorted(sent, key=lambda body: body["seed"])


def _assert_manifest_is_complete(shop: Shop) -> None:
    """Assert that each line has its row, the file of that row's own generation, and its cost."""
    rows = shop.rows()
    assert list(map(_row, range(ROWS))) == [
        (row["SKU"], row["prompt"], row["Seed"], row["Size"]) for row in rows
    ]
    assert {("succeeded", "", f"{USD:f}")} == {
        (row["status"], row["reason"], row["cost"]) for row in rows
    }
    assert all(float(row["seconds"]) > 0 for row in rows)
    files = [Path(urlsplit(row["file"]).path) for row in rows]
    assert [shop.pictures / f"{row['SKU']}.png" for row in rows] == files
    assert sorted(files) == sorted(shop.pictures.iterdir())
    seed_of = {
        create["remote_id"]: create["body"]["seed"] for create in shop.fleet.emulator.creates()
    }
    records = shop.fleet.ledger.queries.records([row["task_id"] for row in rows])
    assert list(range(ROWS)) == [seed_of[record.remote_id] for record in records if record]
    for file in files:
        with Image.open(file) as image:
            image.verify()


def _assert_states_so_far(shop: Shop) -> None:
    """Assert that the manifest has a line per row, and a cost only where a generation may exist."""
    rows = shop.rows()
    assert ROWS == len(rows)
    assert PROCESSES == [row["status"] for row in rows].count("submitting")
    may_be_charged = sum(bool(row["cost"]) for row in rows)
    assert may_be_charged <= SENT
    assert 0 < [row["status"] for row in rows].count("queued")


@pytest.mark.timeout(300 + ROWS / 2)
@pytest.mark.parametrize(
    ("encoding", "number"),
    [("cp1252", signal.SIGINT), ("utf-16", signal.SIGTERM), ("utf-8-sig", signal.SIGKILL)],
)
def test_an_interrupted_table_is_completed_by_the_same_command(
    make_shop: Callable[[str], Shop], encoding: str, number: signal.Signals
) -> None:
    """The same command after Ctrl-C, and once more: one create, one file and one line per row."""
    shop = make_shop(encoding)
    first = shop.start()
    shop.wait_until_some_are_sent()
    first.send_signal(number)
    _, errors = first.communicate(timeout=SECONDS)

    if number is signal.SIGKILL:
        assert not shop.manifest.exists()
    else:
        assert 130 == first.returncode, errors
        assert "The same command with --batch-id shop completes the manifest." in errors
        _assert_states_so_far(shop)
    assert shop.fleet.emulator.stats()["created"] <= SENT

    shop.fleet.emulator.reset_faults()
    code, said = shop.run()
    assert 0 == code, said
    assert f"{ROWS} of {ROWS} succeeded" in said
    _assert_each_row_was_sent_once(shop)
    _assert_manifest_is_complete(shop)

    complete = shop.manifest.read_bytes()
    code, said = shop.run()
    assert 0 == code, said
    assert complete == shop.manifest.read_bytes()
    shop.table("others.csv", _table().replace("Esel", "Maulesel"))
    code, said = shop.run("others.csv")
    assert (1, True) == (code, "was made from other prompts" in said), said
    assert complete == shop.manifest.read_bytes()
    _assert_each_row_was_sent_once(shop)
