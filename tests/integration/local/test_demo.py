"""``mulequeue demo``: what it shows, and that nothing of it stays."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import psutil
import pytest
from redis import Redis
from support.fleet import environment
from support.program import SUMMARY, command
from support.redis_server import RedisServer, redis_binary
from support.waiting import wait_until


def demo(folder: Path, *arguments: str, **env: str) -> subprocess.Popen[str]:
    """The program, started."""
    redis_binary()  # without one the test ends here, with the reason
    return subprocess.Popen(
        command("demo", *arguments),
        env=environment(env),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_demo_leaves_pictures_and_a_page(tmp_path: Path) -> None:
    """A whole fleet comes and goes; pictures, a page with a verified notification, one JSON object."""
    program = demo(tmp_path, "--count", "3", "--json")

    out, errors = program.communicate(timeout=120)

    summary = json.loads(out.splitlines()[-1])
    assert 0 == program.returncode, errors
    assert SUMMARY == list(summary)
    assert (3, 3, 3) == (summary["submitted"], summary["succeeded"], summary["files"])
    page = (tmp_path / "demo-output" / "index.html").read_text()
    assert 3 == page.count("<img ")
    assert "Signature verified" in page
    assert "<!--" not in page
    for source in page.split('<img src="')[1:]:
        assert (tmp_path / "demo-output" / source.split('"')[0]).exists()


def test_the_demo_leaves_nothing_on_a_redis_of_the_users(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    """With MULEQUEUE_REDIS_URL it works there, and takes its ledger and queues along."""
    program = demo(tmp_path, "--count", "1", "--json", MULEQUEUE_REDIS_URL=redis_server.url)

    _, errors = program.communicate(timeout=120)

    assert 0 == program.returncode, errors
    with Redis.from_url(redis_server.url) as client:
        assert [] == list(client.scan_iter("*demo-*"))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_nothing_outlives_the_demo(tmp_path: Path, number: int, code: int) -> None:
    """Redis, worker and emulator end with it, also when it is killed."""
    program = demo(tmp_path)
    family = wait_until(
        lambda: _family(program.pid), seconds=60, what="the demo's processes", program=program
    )

    program.send_signal(number)
    program.communicate(timeout=60)

    assert code == program.returncode
    _, alive = psutil.wait_procs(family, timeout=30)
    assert [] == alive


def _family(pid: int) -> list[psutil.Process]:
    """All that the demo started, once its worker has its pool; else nothing."""
    found = psutil.Process(pid).children(recursive=True)
    workers = [child for child in found if "celery" in " ".join(_words(child))]
    return found if len(workers) >= 3 else []


def _words(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []
