"""``mulequeue batch`` with the tables people have: parameters, file names and a manifest per row."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
from pathlib import Path

import pytest
from support.fleet import Fleet
from support.program import Run, command

TABLE = 'Prompt;N;SKU\r\n"ein Esel;\nblau";2;A-1\r\ncafé;1;B/2\r\n'
COLUMNS = ["row", "prompt", "N", "SKU", "task_id", "status", "reason", "file", "seconds", "cost"]
PRICES = 'mulequeue_prices = {"alibaba/wan2.6-t2i": {"unit": "image", "usd": 0.5}}'
BATCH = ("--batch-id", "shop", "--path", "{sku}.{ext}", "--manifest", "out.csv", "--output", "out")


def bodies(fleet: Fleet) -> list[dict[str, object]]:
    sent = (create["body"] for create in fleet.emulator.creates())
    return sorted(sent, key=lambda body: str(body["prompt"]))


def manifest(folder: Path, name: str = "out.csv") -> list[dict[str, str]]:
    with (folder / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def fleet(make_fleet) -> Fleet:
    """A fleet that knows a price, with a table in its folder."""
    found: Fleet = make_fleet(celeryconfig=PRICES)
    (found.folder / "p.csv").write_bytes(TABLE.encode("cp1252"))
    return found


def test_every_row_has_its_parameters_its_file_and_its_line(fleet: Fleet, cli: Run) -> None:
    """The columns of a table from Excel reach the API, the names of files and the manifest."""
    fleet.worker()

    done = cli("batch", "p.csv", "--encoding", "cp1252", *BATCH)

    assert 0 == done.returncode, done.stderr
    assert 1 == done.stderr.count("Columns used as parameters: N. Others: SKU.")
    expected = [{"prompt": "café", "n": 1}, {"prompt": "ein Esel;\nblau", "n": 2}]
    assert expected == bodies(fleet)
    names = sorted(path.name for path in (fleet.folder / "out").iterdir())
    assert ["A-1-0.png", "A-1-1.png"] == names[:2]
    assert (3, True) == (len(names), names[2].startswith("B_2-"))
    first, second = manifest(fleet.folder)
    assert COLUMNS == list(first)
    assert ("1", "ein Esel;\nblau", "2", "A-1") == tuple(first[name] for name in COLUMNS[:4])
    assert ("shop-000000", "succeeded", "") == tuple(first[name] for name in COLUMNS[4:7])
    assert ["A-1-0.png", "A-1-1.png"] == [url.split("/")[-1] for url in first["file"].splitlines()]
    assert ("1.000000", "0.500000") == (first["cost"], second["cost"])
    assert float(first["seconds"]) > 0


def test_the_same_command_again_writes_the_whole_manifest(fleet: Fleet, cli: Run) -> None:
    """Also for a batch that ended before; nothing is sent again."""
    fleet.worker()
    given = ("batch", "p.csv", "--encoding", "cp1252", *BATCH)
    cli(*given)
    first = manifest(fleet.folder)
    (fleet.folder / "out.csv").unlink()

    again = cli(*given)

    assert 0 == again.returncode, again.stderr
    assert first == manifest(fleet.folder)
    assert 2 == fleet.emulator.stats()["creates"]


def test_a_failure_has_its_reason_in_the_manifest(fleet: Fleet, cli: Run) -> None:
    """What the API refused has no cost; what failed there may have one."""
    fleet.worker()
    fleet.emulator.faults(creates=[{"do": "status", "status": 400, "count": 1}])
    (fleet.folder / "one.jsonl").write_text('{"prompt": "a", "n": 1}\n')

    done = cli("batch", "one.jsonl", "--manifest", "out.tsv")

    assert 1 == done.returncode
    with (fleet.folder / "out.tsv").open(newline="") as file:
        [row] = csv.DictReader(file, delimiter="\t")
    assert ("failed", "", "") == (row["status"], row["file"], row["cost"])
    assert row["reason"]


def test_what_still_runs_is_in_the_manifest(fleet: Fleet, cli: Run) -> None:
    """At --max-wait it has the states so far."""
    done = cli("batch", "p.csv", "--encoding", "cp1252", *BATCH, "--max-wait", "0.1")

    assert 2 == done.returncode, done.stderr
    states = [(row["task_id"], row["status"], row["cost"]) for row in manifest(fleet.folder)]
    assert [("shop-000000", "queued", ""), ("shop-000001", "queued", "")] == states


def test_ctrl_c_writes_the_manifest_and_the_same_command_completes_it(
    fleet: Fleet, cli: Run
) -> None:
    """The states so far first, and all of them once the batch is over."""
    fleet.worker()
    fleet.emulator.faults(creates=[{"do": "hold"}] * 2)
    given = ("batch", "p.csv", "--encoding", "cp1252", *BATCH)
    program = subprocess.Popen(
        command(*given), env=fleet.env, cwd=fleet.folder, stderr=subprocess.PIPE, text=True
    )
    fleet.emulator.wait(held_creates=2)

    program.send_signal(signal.SIGINT)
    _, errors = program.communicate(timeout=30)

    assert 130 == program.returncode, errors
    assert ["submitting"] * 2 == [row["status"] for row in manifest(fleet.folder)]
    fleet.emulator.release()
    again = cli(*given)
    assert 0 == again.returncode, again.stderr
    assert ["succeeded"] * 2 == [row["status"] for row in manifest(fleet.folder)]
    assert 2 == fleet.emulator.stats()["creates"]


def test_a_local_batch_has_names_and_a_manifest_too(fleet: Fleet, cli: Run) -> None:
    """--local needs no ledger for it."""
    (fleet.folder / "p.txt").write_text("a\nb\n")

    done = cli(
        *("batch", "p.txt", "--local", "-p", "n=1", "--output", "out"),
        *("--path", "{row}.{ext}", "--manifest", "out.csv"),
    )

    assert 0 == done.returncode, done.stderr
    assert ["1.png", "2.png"] == sorted(path.name for path in (fleet.folder / "out").iterdir())
    rows = manifest(fleet.folder)
    assert [("1", "a", "0.500000"), ("2", "b", "0.500000")] == [
        (row["row"], row["prompt"], row["cost"]) for row in rows
    ]
    assert ["1.png", "2.png"] == [row["file"].split("/")[-1] for row in rows]


def test_a_dry_run_needs_no_redis_and_sends_nothing(fleet: Fleet, cli: Run) -> None:
    """It validates every row and shows count, parameters and cost."""
    fleet.env["MULEQUEUE_REDIS_URL"] = "redis://127.0.0.1:9/0"
    given = ("batch", "p.csv", "--encoding", "cp1252", *BATCH, "--dry-run")

    shown, data = cli(*given), cli(*given, "--json")

    assert (0, 0) == (shown.returncode, data.returncode), shown.stderr + data.stderr
    lines = dict(line.split(None, 1) for line in shown.stdout.splitlines())
    assert ("2", "2 (1), 1 (1)") == (lines["generations"], lines["n"])
    assert "2 generations, 1.50 USD (estimate)" == lines["estimate"]
    assert json.loads(data.stdout) == {
        "dry_run": True,
        "model": "alibaba/wan2.6-t2i",
        "count": 2,
        "parameters": {"n": {"2": 1, "1": 1}},
        "usd": 1.5,
        "unpriced": 0,
        "files": ["A-1.{ext}", json.loads(data.stdout)["files"][1]],
    }
    assert 0 == fleet.emulator.stats()["creates"]
    assert not (fleet.folder / "out.csv").exists()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("--manifest", "nowhere/out.csv"), "--manifest"),
        (("--manifest", "p.csv"), "is the file of the prompts"),
        (("--manifest", "."), "is not a file"),
        (("--manifest", "/dev/null"), "is not a file"),
        (("--path", "all.{ext}"), "would have the same file"),
        (("--ignore-column", "m"), "has no column 'm'"),
    ],
)
def test_bad_input_is_refused_before_anything_is_sent(
    fleet: Fleet, cli: Run, given: tuple[str, ...], says: str
) -> None:
    """One line, exit code 1, and an empty ledger."""
    done = cli("batch", "p.csv", "--encoding", "cp1252", *given)

    assert 1 == done.returncode
    assert says in done.stderr
    assert 1 == done.stderr.strip().count("\n") + 1
    assert 0 == fleet.emulator.stats()["creates"]
    assert {} == {name: count for name, count in fleet.ledger.queries.counts().items() if count}
    assert TABLE.encode("cp1252") == (fleet.folder / "p.csv").read_bytes()


def test_a_field_that_the_model_lacks_is_refused_with_its_line(fleet: Fleet, cli: Run) -> None:
    """An input object is sent as it is, so nothing in it is a mere column."""
    (fleet.folder / "p.jsonl").write_text('{"prompt": "a", "n": 1}\n{"prompt": "b", "sku": "A"}\n')

    done = cli("batch", "p.jsonl")

    assert 1 == done.returncode
    assert "p.jsonl, line 2: there is no 'sku'" in done.stderr
    assert 0 == fleet.emulator.stats()["creates"]
