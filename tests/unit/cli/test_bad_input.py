"""Bad input ends with one line and exit code 1, before anything is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mulequeue.cli import mulequeue


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Calls the program in an empty folder, with the URL of a Redis that is not there."""
    monkeypatch.chdir(tmp_path)
    env = {"MULEQUEUE_REDIS_URL": "redis://:secret@127.0.0.1:9/0"}

    def run(*arguments: str, **more: str | None) -> Result:
        return CliRunner().invoke(mulequeue, arguments, env={**env, **more}, prog_name="mulequeue")

    return run


IMAGE = "alibaba/wan2.6-t2i"
CASES: list[tuple[list[str], str]] = [
    (["run", "wan2.6-t2x", "a"], "Did you mean alibaba/wan2.6-t2"),
    (["run", "/vendors/a//b", "a"], "cannot be used"),
    (["run", IMAGE], "The input is empty"),
    (["run", IMAGE, "--input", "list.json"], "must hold a JSON object"),
    (["run", IMAGE, "--input", "nowhere.json"], "cannot be read"),
    (["run", IMAGE, "-p", "n"], "KEY=VALUE"),
    (["run", IMAGE, "a", "--max-wait", "0"], "above 0"),
    (["run", IMAGE, "a", "--max-wait", "soon"], "See `mulequeue run --help`"),
    (["run", IMAGE, "a", "--param", "image=@list.json"], "mulequeue_input_roots"),
    (["run", IMAGE, "a", "--local", "--extra", "image=@gone.png"], "No such file"),
    (["run", IMAGE, "a", "--output", "list.json/x"], "is not a folder"),
    (["run", IMAGE, "a", "--output", "s4://x"], "cannot be used"),
    (["run", IMAGE, "a", "--local"], "Set MULEROUTER_API_KEY"),
    (["run", IMAGE, "a"], "Start one with `redis-server`, or set MULEQUEUE_REDIS_URL"),
    (["batch", "nowhere.txt"], "nowhere.txt cannot be read"),
    (["batch", "empty.txt"], "holds no prompts"),
    (["batch", "latin.txt"], "line 2, is not UTF-8"),
    (["batch", "table.tsv"], "It has 'Text', 'Note'"),
    (["batch", "fine.txt", "--model", "nobody/nothing"], "Unknown model"),
    (["batch", "fine.txt", "--local"], "Set MULEROUTER_API_KEY"),
    (["batch", "fine.txt", "--notify", "http://127.0.0.1/x"], "only https is allowed"),
    (["batch", "file.jsonl"], "file.jsonl, line 1: input['image'] names the file"),
    (["batch", "fine.txt"], "Redis at redis://:…@127.0.0.1:9/0 does not answer"),
    (["status"], "does not answer"),
    (["status", IMAGE, "some-id"], "Set MULEROUTER_API_KEY"),
    (["status", "a", "b", "c"], "status takes"),
    (["cancel", "x"], "does not answer"),
    (["adopt", "nobody/nothing", "x"], "Unknown model"),
    (["demo", "--count", "0"], "--count is 0"),
    (["demo", "--output", "list.json/x"], "Set another --output"),
    (["modles"], "Did you mean models?"),
    (["models", "--sort"], "See `mulequeue models --help`"),
]


@pytest.mark.parametrize(("arguments", "says"), CASES, ids=lambda value: str(value)[:50])
def test_bad_input_is_one_line_that_says_what_to_change(
    call: Any, tmp_path: Path, arguments: list[str], says: str
) -> None:
    """Exit code 1, one line on standard error, nothing on standard output, no password."""
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "empty.txt").write_text("\n \n")
    (tmp_path / "fine.txt").write_text("a mule\n")
    (tmp_path / "latin.txt").write_bytes("a\ncafé\n".encode("latin-1"))
    (tmp_path / "table.tsv").write_text("Text\tNote\na\tb\n")
    (tmp_path / "file.jsonl").write_text('{"prompt": "a", "image": {"$file": "/etc/hostname"}}\n')

    result = call(*arguments)

    assert (1, "") == (result.exit_code, result.stdout)
    assert says in result.stderr
    assert 1 == result.stderr.strip().count("\n") + 1
    assert "secret" not in result.stderr


def test_an_unknown_setting_is_one_line(call: Any, tmp_path: Path) -> None:
    """A misspelled mulequeue_ setting of the app is named with the nearest one."""
    from celery import Celery

    app = Celery("proj", set_as_current=False)
    app.conf.update(mulequeue_storrage="x")

    result = CliRunner().invoke(
        mulequeue, ["run", IMAGE, "a"], obj=type("Context", (), {"app": app})()
    )

    assert 1 == result.exit_code
    assert "Did you mean mulequeue_storage" in result.stderr


def test_debug_shows_the_traceback(call: Any) -> None:
    """With --debug the error keeps its type."""
    result = call("--debug", "models", "nobody/nothing")

    assert "InputError" == type(result.exception).__name__


def test_a_missing_redis_program_is_reported_with_the_command_that_installs_one(
    call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The demo without any Redis ends at once."""
    from mulequeue.local import embedded_redis

    monkeypatch.setattr(embedded_redis, "embedded_server", lambda: None)

    result = call("demo", PATH=str(tmp_path), MULEQUEUE_REDIS_URL=None)

    assert 1 == result.exit_code
    assert "No Redis on this machine. Install one: " in result.stderr
