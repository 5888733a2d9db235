"""A gallery of the examples, started as its README says, and the browser that looks at it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import psutil
import requests

from support.fleet import environment
from support.processes import wait_or_kill
from support.programs import program

MOST_MILLISECONDS = 40_000  # as Playwright counts
EXAMPLES = Path(__file__).parents[2] / "examples"
_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium() -> str:
    """The browser's program; a missing one is a skip at home and a failure in CI."""
    return program("chromium", "apt install chromium")


def start_browser(playwright: Any) -> Any:
    """Chromium without a window; nothing is downloaded."""
    return playwright.chromium.launch(executable_path=chromium(), args=_FLAGS)


class Gallery:
    """``python examples/<host>_gallery/run.py`` on a free port.

    :param host: ``flask`` or ``django``.
    :param data: the folder of everything it keeps.
    :param redis_url: of a Redis of the test's; None: the gallery starts one.
    :param env: further environment variables.
    """

    def __init__(
        self,
        host: str,
        data: Path,
        *,
        redis_url: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.host, self.data = host, data
        self.output: list[str] = []
        self._lines: Queue[str | None] = Queue()
        self._process = subprocess.Popen(
            [sys.executable, EXAMPLES / f"{host}_gallery/run.py", "--port", "0", "--data", data],
            env=environment(
                {"PYTHONUNBUFFERED": "1"}
                | dict(env or {})
                | ({"MULEQUEUE_REDIS_URL": redis_url} if redis_url else {})
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        try:
            self.emulator = self._told(r"the API is an emulator on (http://[\d.]+:\d+)")
            self.url = self._told(r"The gallery is on (http://[\d.:]+)/")
            self._wait_until_it_listens()
        except BaseException:
            self.stop()
            raise

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.output.append(line)
            self._lines.put(line)
        self._lines.put(None)

    def _told(self, pattern: str) -> str:
        while True:
            try:
                line = self._lines.get(timeout=40)
            except Empty:
                line = None
            assert line is not None, f"the gallery did not start:\n{self.log}"
            if match := re.search(pattern, line):
                return match[1]

    def _wait_until_it_listens(self) -> None:
        session = requests.Session()
        session.trust_env = False
        retry = requests.adapters.Retry(connect=20, backoff_factor=0.05, backoff_max=1)
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retry))
        assert session.get(self.url, timeout=10).ok

    def kill_worker(self) -> None:
        """SIGKILL to the worker and its pool at once."""
        tree = psutil.Process(self._process.pid).children(recursive=True)
        workers = [child for child in tree if {"celery", "worker"} <= set(child.cmdline())]
        assert workers
        for child in workers:
            child.kill()

    def emulate(self, **faults: Any) -> None:
        """Set these faults of the emulator."""
        requests.post(
            f"{self.emulator}/_emulator/faults", json=faults, timeout=10
        ).raise_for_status()

    def stats(self) -> dict[str, int]:
        """The emulator's counters."""
        return dict(requests.get(f"{self.emulator}/_emulator/stats", timeout=10).json())

    @property
    def log(self) -> str:
        worker = self.data / "worker.log"
        told = worker.read_text(errors="replace") if worker.exists() else ""
        return "".join(self.output) + told[-20_000:]

    def make_administrator(self, name: str, password: str) -> None:
        """Of Django's admin pages, as the gallery's README says."""
        subprocess.run(
            [sys.executable, EXAMPLES / "django_gallery/manage.py", "createsuperuser", "--noinput"],
            env=environment(
                {
                    "GALLERY_DATA": str(self.data),
                    "DJANGO_SUPERUSER_USERNAME": name,
                    "DJANGO_SUPERUSER_EMAIL": f"{name}@gallery.example",
                    "DJANGO_SUPERUSER_PASSWORD": password,
                }
            ),
            check=True,
            capture_output=True,
            timeout=60,
        )

    def stop(self) -> None:
        """As Ctrl-C does."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        wait_or_kill(self._process, 30)
        self._reader.join(10)
        assert 0 == self._process.returncode, self.log


def send(page: Any, prompts: list[str], model: str = "alibaba/wan2.6-t2i") -> None:
    """Fill in the form and send it."""
    page.get_by_label("Prompts, one per line").fill("\n".join(prompts))
    page.get_by_label("Model").select_option(model)
    page.get_by_role("button", name="Generate").click()
    page.wait_for_url("**/albums/*/")


_NONE_IS_ACTIVE = """() => ![...document.querySelectorAll("#cards li")].some(
  (card) => /\\/(queued|waiting|submitting|generating|storing)\\//.test(card.dataset.version))"""


def wait_until_over(page: Any, text: str) -> None:
    """Until the album says that it is, and how, and the page has the cards of that moment."""
    page.locator("#progress.over #text", has_text=text).wait_for(timeout=MOST_MILLISECONDS)
    page.wait_for_function(_NONE_IS_ACTIVE, timeout=MOST_MILLISECONDS)
