"""``mulequeue dev`` as a hobbyist has it."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from celery import Celery
from redis import Redis
from support.fleet import environment
from support.ports import free_port
from support.program import command, runs_in
from support.redis_server import RedisServer, redis_binary
from support.waiting import wait_until


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
        try:
            wait_until(
                lambda: log.read_text().count(" ready.") == 2,
                seconds=60,
                what="worker and poller",
                program=program,
            )
        except AssertionError as exc:
            exc.add_note(log.read_text())
            raise
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


def test_redis_of_its_own_by_default(tmp_path: Path) -> None:
    """Without a configured Redis it starts one with its data in the folder, once per folder."""
    env = environment({})

    with dev(tmp_path, env):
        log = (tmp_path / "dev.log").read_text()
        [url] = re.findall(r"export MULEQUEUE_REDIS_URL=(\S+)", log)
        second = runs_in(tmp_path, env)("dev")
        with Redis.from_url(url) as client:
            own_folder = client.config_get("dir")["dir"]

    assert str(tmp_path / ".mulequeue") == own_folder
    assert 1 == second.returncode
    assert "runs in this folder already" in second.stderr


@pytest.mark.parametrize("is_busy", [False, True], ids=["messages-waiting", "workers-took-them"])
def test_redis_of_another_project_is_refused(
    tmp_path: Path, redis_server: RedisServer, is_busy: bool
) -> None:
    """It takes no message of another project, and says which database to use instead."""
    redis_url = redis_server.url
    shop = Celery("shop", broker=redis_url)
    for _ in range(3):
        shop.send_task("shop.tasks.send_mail")
    client = Redis.from_url(redis_url)
    if is_busy:
        client.delete("celery")
    before = client.llen("celery")

    done = runs_in(tmp_path, environment({"MULEQUEUE_REDIS_URL": redis_url}))("dev")

    assert 1 == done.returncode
    assert "--redis redis://" in done.stderr
    assert ("another Celery project" if is_busy else "shop.tasks.send_mail") in done.stderr
    assert before == client.llen("celery")
