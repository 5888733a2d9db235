"""``mulequeue status`` as it waits and follows, what ``--json`` prints, and what shells complete."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import uuid
from typing import Any

import click
import pytest
from support.fleet import Fleet, environment
from support.generations import MODEL
from support.program import Run, command
from support.waiting import wait_until

from mulequeue import generate_many
from mulequeue.cli import mulequeue as group


def run_one(fleet: Fleet, prompt: str) -> str:
    """Enqueue a generation and wait for its id; the task id."""
    task_id = uuid.uuid4().hex
    call = {"poll_interval": 0.2, "on_failure": "return"}
    task = fleet.task("mulequeue.generate", MODEL, {"prompt": prompt, "n": 1}, **call)
    task.apply_async(task_id=task_id)
    fleet.wait_for_state(task_id, "generating")
    return task_id


def test_the_fleet_is_waited_for(fleet: Fleet, cli: Run) -> None:
    """Without an id ``--wait`` ends when nothing is under way, and with 2 at ``--max-wait``."""
    fleet.emulator.faults(lives=[{"end": "never"}])
    fleet.worker("-P", "threads", "-c", "2")
    run_one(fleet, "a mule")

    late = cli("status", "--wait", "--max-wait", "0.5", "--json")
    watching = subprocess.Popen(
        command("status", "--wait"),
        env=fleet.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert watching.stderr is not None
    assert "[0:00] 1 generating\n" == watching.stderr.readline()
    (generation,) = fleet.emulator.generations()
    fleet.emulator.finish(generation["remote_id"])
    watching.communicate(timeout=30)

    assert (2, 1) == (late.returncode, json.loads(late.stdout)["counts"]["generating"])
    assert 0 == watching.returncode


def test_every_member_is_told_of(fleet: Fleet, cli: Run) -> None:
    """``--follow`` tells of those that succeeded too; the seconds are those until the last one."""
    fleet.emulator.faults(lives=[{"contains": "bad", "end": "failed", "code": 3001}])
    fleet.worker("-P", "threads", "-c", "2")
    made = cli("batch", "-", "--batch-id", "b", "--param", "n=1", stdin="a mule\nbad\n")

    told = cli("status", "b", "--follow")
    first, later = (json.loads(cli("status", "b", "--json").stdout)["seconds"] for _ in range(2))

    assert (1, 1) == (made.returncode, told.returncode)
    lines = told.stdout + told.stderr
    assert re.search(r'000000 succeeded: in 0:\d\d "a mule"', lines)
    assert re.search(r'000001 failed: .* \(code 3001\) "bad"', lines)
    assert first == later


def keys_of(name: str) -> list[list[str]]:
    """What the help of a command says that ``--json`` prints: the keys of each shape."""
    context = click.Context(group)
    found = group.get_command(context, name)
    assert found is not None
    shapes = re.findall(r"{([^{}]*(?:{[^}]*}[^{}]*)?)}", found.epilog or "")
    return [re.findall(r'"(\w+)"', re.sub(r"\[.*\]", "", shape)) for shape in shapes]


def test_json_is_what_the_help_says(fleet: Fleet, cli: Run) -> None:
    """Each command prints the keys that its help names, in that order."""
    fleet.emulator.faults(lives=[{"contains": "never", "end": "never"}])
    fleet.worker("-P", "threads", "-c", "2")
    running = run_one(fleet, "never")

    def printed(*arguments: str, stdin: str = "") -> Any:
        done = cli(*arguments, "--json", stdin=stdin)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    given = (MODEL, "a mule", "--param", "n=1", "--poll-interval", "0.2")
    outcome = printed("run", *given)
    submitted = printed("run", *given, "--no-wait")
    assert keys_of("run") == [list(outcome), list(submitted)]
    counts = printed("batch", "-", "--batch-id", "b", "--param", "n=1", stdin="a mule\n")
    assert keys_of("batch") == keys_of("demo") == [list(counts)]
    asked = [printed("status", *name) for name in ((), ("b",), (running,))]
    assert keys_of("status") == [list(answer) for answer in asked]
    listed = [printed("list")[0], printed("list", "--batches")[0]]
    assert keys_of("list") == [list(item) for item in listed]
    assert keys_of("adopt") == [list(printed("adopt", MODEL, outcome["remote_id"]))]
    assert keys_of("resume") == [list(printed("resume", outcome["task_id"]))]
    assert keys_of("doctor") == [list(printed("doctor"))]
    assert {running: "generating"} == printed("cancel", running)


def complete(shell: str, line: str) -> str:
    """What click answers a shell that asks for the last word of a line."""
    words = line.split()
    asked = {
        "COMP_WORDS": line,
        "COMP_CWORD": words[-1] if shell == "fish" else f"{len(words) - 1}",
    }
    env = environment({"_MULEQUEUE_COMPLETE": f"{shell}_complete", **asked})
    done = subprocess.run(
        ["mulequeue"], env=with_program(env), capture_output=True, text=True, timeout=30
    )
    return done.stdout


def with_program(env: dict[str, str]) -> dict[str, str]:
    """With the folder of the installed programs on the path."""
    folder = sys.executable.rpartition("/")[0]
    if shutil.which("mulequeue", path=folder) is None:
        pytest.skip("mulequeue is not installed beside this Python")
    return {**env, "PATH": f"{folder}:{env['PATH']}"}


@pytest.mark.parametrize(
    ("shell", "line", "word"),
    [
        ("bash", "mulequeue sta", "status"),
        ("zsh", "mulequeue status --fol", "--follow"),
        ("fish", "mulequeue list --status subm", "submit_unknown"),
        ("fish", f"mulequeue run {MODEL[:12]}", MODEL),
    ],
)
def test_a_shell_is_told_what_fits(shell: str, line: str, word: str) -> None:
    """Commands, options, their values and the names of models are completed."""
    assert word in complete(shell, line)


def test_bash_completes() -> None:
    """A real bash, set up with the line of the documentation, puts the word there."""
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    script = """
        eval "$(_MULEQUEUE_COMPLETE=bash_source mulequeue)"
        COMP_WORDS=(mulequeue doc) COMP_CWORD=1
        _mulequeue_completion mulequeue doc mulequeue
        echo "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        ["bash", "-c", script], env=with_program(environment({})), capture_output=True, text=True
    )

    assert "doctor\n" == done.stdout, done.stderr


def test_what_waits_is_shown_with_the_reason(fleet: Fleet, cli: Run) -> None:
    """A generation and a batch that wait for a balance say so, and what to fix."""
    fleet.emulator.faults(creates=[{"do": "status", "status": 402, "detail": "no mules left"}])
    fleet.worker()
    generate_many(MODEL, [{"prompt": "a", "n": 1}] * 3, batch_id="b", download=False).apply_async()
    wait_until(lambda: fleet.ledger.queries.counts().get("waiting") == 3, what="all to wait")

    (first, *_) = fleet.ledger.queries.task_ids()
    for name in ("b", first):
        shown = cli("status", name)
        assert "the balance of the account is too low: no mules left. Top it up" in shown.stderr
    followed = cli("status", "b", "--wait", "--max-wait", "3")
    assert 2 == followed.returncode
    assert "no mules left. Top it up" in followed.stderr
