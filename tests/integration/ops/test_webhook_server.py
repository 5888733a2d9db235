"""The server for projects without a web application of their own."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
import requests
from support.redis_server import RedisServer
from support.webhook import WEBHOOK_SECRET, ended, event, signed

_RUN = "import mulequeue.celery; from mulequeue.ops.webhook_server import run; run(port=0)"


@pytest.fixture
def server(redis_server: RedisServer) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The program and its URL."""
    env = {"MULEQUEUE_REDIS_URL": redis_server.url, "MULEQUEUE_WEBHOOK_SECRET": WEBHOOK_SECRET}
    process = subprocess.Popen([sys.executable, "-c", _RUN], env=env, stdout=-1, text=True)
    assert process.stdout is not None
    yield process, process.stdout.readline().split(" on ")[-1].strip()
    process.kill()
    process.communicate()


def test_it_takes_signed_webhooks_until_it_is_stopped(server) -> None:
    """A signed event is 200, an unsigned one 401, a large one 413; SIGTERM ends it with 0."""
    process, url = server
    body, large = event(ended("remote-1")), b" " * (1024**2 + 1)

    taken = requests.post(url, body, headers=signed(body), timeout=10)
    unsigned = requests.post(url, body, timeout=10)
    oversized = requests.post(url, large, headers=signed(large), timeout=10)
    ready = requests.get(url, timeout=10)
    process.send_signal(signal.SIGTERM)

    assert (200, "early") == (taken.status_code, taken.text)
    assert [401, 413] == [unsigned.status_code, oversized.status_code]
    assert (200, "ready") == (ready.status_code, ready.text)
    assert 0 == process.wait(10)


def test_it_does_not_start_without_a_secret() -> None:
    """Without a secret it exits immediately and names the setting."""
    done = subprocess.run([sys.executable, "-c", _RUN], env={}, capture_output=True, text=True)

    assert 1 == done.returncode
    assert "MULEQUEUE_WEBHOOK_SECRET" in done.stderr
