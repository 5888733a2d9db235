"""The manifest of a batch."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
from celery import Celery

from mulequeue import catalog
from mulequeue.cli.exits import Interrupted
from mulequeue.cli.manifest import Manifest, is_sent, problem_of, written_at_end
from mulequeue.cli.preflight import Call
from mulequeue.cli.prompts import PromptFile, Row
from mulequeue.errors import ConfigurationError, InputError
from mulequeue.ledger import Record
from mulequeue.outcome import File
from mulequeue.settings import Settings

PROMPTS = PromptFile(
    rows=(
        Row(input={"prompt": "a, b"}, where="p.csv, line 2", cells=("a, b", "new", "é")),
        Row(input={"prompt": "c"}, where="p.csv, line 3", cells=("c", "old", "")),
    ),
    header=("Prompt", "Status", "note"),
    prompt_column=0,
)
STATES = [
    Record(
        task_id="t-0",
        state="delivered",
        status="succeeded",
        remote_id="r",
        started=1.0,
        finished=2.26,
        files=tuple(
            File(url=url, kind="image", media_type="image/png", bytes=1) for url in ("x/1", "x/2")
        ),
    ),
    Record(
        task_id="t-1",
        state="delivered",
        status="failed",
        answer={"error": {"type": "InvalidRequest", "detail": "no"}},
    ),
]


def manifest(path: Path, source: str = "p.csv") -> Manifest:
    app = Celery("manifest", set_as_current=False)
    price = {"alibaba/wan2.6-t2i": {"unit": "image", "usd": 0.5}}
    app.conf.update(mulequeue_prices=price, mulequeue_defaults={"alibaba/wan2.6-t2i": {"n": 1}})
    call = Call(
        app=app,
        settings=Settings.load(app, {}),
        model=catalog.find("alibaba/wan2.6-t2i"),
        inputs=[dict(row.input) for row in PROMPTS.rows],
        storage="out",
        validate=None,
        max_wait=None,
        local=False,
        quiet=False,
        as_json=False,
    )
    return Manifest(str(path), PROMPTS, source, call)


def test_a_line_has_the_row_and_what_became_of_it(tmp_path: Path) -> None:
    """A column that is called like one of the manifest's own gets another name."""
    manifest(tmp_path / "out.csv").write(STATES)

    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        header, first, second = csv.reader(file)
    assert ["row", "prompt", "Status (table)", "note", "task_id", "status"] == header[:6]
    assert ["1", "a, b", "new", "é", "t-0", "succeeded", "", "x/1\nx/2", "1.3"] == first[:-1]
    assert ["2", "c", "old", "", "t-1", "failed", "no", "", "", ""] == second
    assert 0.5 == float(first[-1])


def test_a_manifest_is_replaced_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If it cannot be written, the former one stays, and nothing else is left."""
    path = tmp_path / "out.csv"
    path.write_text("before")
    found = manifest(path)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", fail)
        with pytest.raises(ConfigurationError, match="No space left on device"):
            found.write(STATES)

    assert "before" == path.read_text()
    assert [path] == list(tmp_path.iterdir())


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """The file that it leads to is replaced."""
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")

    manifest(tmp_path / "link.csv").write(STATES)

    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text().startswith("row,prompt")


@pytest.mark.parametrize("name", ["nowhere/out.csv", "-", ".", "/dev/null"])
def test_a_place_that_cannot_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Before anything is sent, and nothing is left there."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ConfigurationError, match="--manifest"):
        manifest(Path(name))

    assert [] == list(tmp_path.iterdir())


def test_the_file_of_the_prompts_is_not_replaced(tmp_path: Path) -> None:
    """Also by another name of it."""
    (tmp_path / "p.csv").write_text("Prompt\na\n")
    (tmp_path / "link.csv").symlink_to(tmp_path / "p.csv")

    with pytest.raises(InputError, match="is the file of the prompts"):
        manifest(tmp_path / "link.csv", source=str(tmp_path / "p.csv"))


@pytest.mark.parametrize("raised", [Interrupted("stopped"), KeyboardInterrupt()])
def test_an_interrupted_batch_has_a_manifest(tmp_path: Path, raised: BaseException) -> None:
    """With the states so far; after another error there is none."""
    found = manifest(tmp_path / "out.csv")

    with pytest.raises(InputError), written_at_end(found, lambda: STATES):
        raise InputError("something else")
    assert [] == list(tmp_path.iterdir())

    with pytest.raises(type(raised)), written_at_end(found, lambda: STATES):
        raise raised
    assert 1 == len(list(tmp_path.iterdir()))


def test_what_may_have_been_paid_has_a_cost() -> None:
    """A remote id, or an answer that was lost; a file that is missing is the reason."""
    refused = Record(task_id="t", state="delivered", status="failed")
    paid = Record(task_id="t", state="delivered", status="failed", remote_id="r")
    unknown = Record(task_id="t", state="delivered", status="submit_unknown")
    lost = Record(
        task_id="t", state="delivered", status="succeeded", remote_id="r", file_error="gone"
    )

    assert [False, True, True, True] == [
        is_sent(record) for record in (refused, paid, unknown, lost)
    ]
    assert "not stored: gone" == problem_of(lost)
