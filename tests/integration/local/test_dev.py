"""``mulequeue dev`` as a hobbyist has it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from support.fleet import environment
from support.program import command, runs_in
from support.redis_server import redis_binary
from support.waiting import wait_until

from mulequeue.local.processes import free_port


@contextmanager
def dev(folder: Path, env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """The program, ready; stopped by Ctrl-C at the end."""
    redis_binary()  # without one the test ends here, with the reason
    log = folder / "dev.log"
    with log.open("wb") as output:
        program = subprocess.Popen(
            command("dev", "--concurrency", "2"),
            env=env,
            cwd=folder,
            stdout=output,
            stderr=output,
        )
    try:
        wait_until(
            lambda: log.read_text().count(" ready.") == 2,
            seconds=60,
            what="worker and poller",
            program=program,
        )
        yield program
    finally:
        program.send_signal(signal.SIGINT)
        program.wait(30)


def cli(folder: Path, env: dict[str, str], *arguments: str) -> str:
    done = runs_in(folder, env)(*arguments)
    assert 0 == done.returncode, done.stderr
    return done.stdout


def test_a_fleet_in_the_foreground(tmp_path: Path) -> None:
    """Without key and Redis it starts all of them, makes pictures, ends whole, and forgets nothing."""
    env = environment({"MULEQUEUE_REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"})

    with dev(tmp_path, env) as program:
        family = psutil.Process(program.pid).children(recursive=True)
        file = cli(tmp_path, env, "run", "alibaba/wan2.6-t2i", "a mule at dawn")

    _, alive = psutil.wait_procs(family, timeout=30)
    assert (0, []) == (program.returncode, alive)
    assert Path(file.strip().removeprefix("file://")).exists()
    log = (tmp_path / "dev.log").read_text()
    assert "export MULEROUTER_BASE_URL=http://127.0.0.1:" in log
    with dev(tmp_path, env):
        assert "a mule at dawn" in cli(tmp_path, env, "list")
