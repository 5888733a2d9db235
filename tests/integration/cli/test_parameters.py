"""Inputs that a model does not take, at the command line: counted at the emulator, nothing is sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.fleet import KEY

from mulequeue.cli import mulequeue
from mulequeue.emulator.process import EmulatorProcess

MODEL = "alibaba/wan2.6-t2i"
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def emulator() -> Iterator[EmulatorProcess]:
    started = EmulatorProcess(min_seconds=0.01, max_seconds=0.05)
    yield started
    started.stop()


@pytest.fixture
def cli(
    emulator: EmulatorProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Run]:
    """Calls the program where there is an API, and no Redis."""
    monkeypatch.chdir(tmp_path)
    env = {
        "MULEROUTER_API_KEY": KEY,
        "MULEROUTER_BASE_URL": emulator.url,
        "MULEQUEUE_REDIS_URL": "redis://127.0.0.1:9/0",
    }
    (tmp_path / "rows.jsonl").write_text(
        '{"prompt": "a"}\n{"prompt": "b", "n": 9}\n{"promt": "c"}\n{"prompt": "d", "n": 2}\n'
    )
    (tmp_path / "prompts.txt").write_text("a\nb\n")

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(mulequeue, arguments, env=env, prog_name="mulequeue")

    yield run
    emulator.reset()


@pytest.mark.parametrize("local", [[], ["--local"]], ids=["workers", "local"])
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", MODEL, "a", "--param", "sizes=1024*1024"], "did you mean size"),
        (["run", MODEL, "a", "--param", "n=9"], "'n' cannot be 9; it takes 1 to 4"),
        (["run", MODEL, "--param", "n=1"], "'prompt' is missing"),
        (["run", "alibaba/wan2.6-i2v", "a", "--param", "image=photo.png"], "@path on the command"),
        (["batch", "rows.jsonl"], "rows.jsonl, line 2: 'n' cannot be 9; it takes 1 to 4; "),
        (["batch", "rows.jsonl"], "rows.jsonl, line 3: there is no 'promt'; did you mean prompt"),
        (
            ["batch", "prompts.txt", "--model", "alibaba/wan2.6-image"],
            "prompts.txt, line 1: 'images' is",
        ),
        (["batch", "prompts.txt", "--param", "duration=5"], "there is no 'duration'"),
    ],
)
def test_a_wrong_input_is_a_usage_error(
    emulator: EmulatorProcess, cli: Run, arguments: list[str], says: str, local: list[str]
) -> None:
    """Exit code 1, one line that names the row, and not one create, of a batch's good rows neither."""
    done = cli(*arguments, *local)

    assert (1, "") == (done.exit_code, done.stdout)
    assert says in done.stderr
    assert 1 == done.stderr.strip().count("\n") + 1
    assert 0 == emulator.stats()["creates"]


def test_the_way_past_a_check(emulator: EmulatorProcess, cli: Run) -> None:
    """--validate off sends what the catalog does not know; warn sends it and says so."""
    given = ("run", MODEL, "a", "--param", "szie=1", "--local", "--json", "--poll-interval", "0.1")

    silent = cli(*given, "--validate", "off", "--quiet")
    warned = cli(*given, "--validate", "warn", "--quiet")

    assert (0, 0) == (silent.exit_code, warned.exit_code), silent.stderr + warned.stderr
    assert "succeeded" == json.loads(silent.stdout)["status"]
    assert "" == silent.stderr
    assert "Warning: alibaba/wan2.6-t2i: there is no 'szie'; did you mean size." in warned.stderr
    assert [{"szie": 1, "prompt": "a"}] * 2 == [sent["body"] for sent in emulator.creates()]
