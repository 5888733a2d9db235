"""A user's own Celery project: an app of its own, Celery's defaults, and the settings of one test."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from celery import Celery, chord

from mulequeue.emulator.process import EmulatorProcess
from support.fleet import KEY, SECRET, environment
from support.waiting import wait_until
from support.workers import WithWorkers, WorkerProcess

MODEL = "alibaba/wan2.6-t2i"

PROJECT = """\
import json
import os

from celery import Celery

{imports}

app = Celery("proj")
{configure}


@app.task(name="proj.keep")
def keep(value, path):
    with open(path + ".part", "w") as file:
        json.dump(value, file)
    os.rename(path + ".part", path)
    return value
"""


class Project(WithWorkers):
    """``proj.py`` and ``settings.py`` in a folder, workers of it, and an app that sends.

    What a chain came to is read from the file its last task wrote, so that a project without results
    can be asked the same.

    :param settings: the text of ``settings.py``.
    :param namespace: as ``config_from_object`` takes it.
    :param imports: what ``proj.py`` imports of ours.
    """

    def __init__(
        self,
        folder: Path,
        emulator: EmulatorProcess,
        settings: str,
        *,
        namespace: str = "",
        imports: str = "import mulequeue",
        env: dict[str, str] | None = None,
    ) -> None:
        self.folder, self.emulator = folder, emulator
        self.workers: list[WorkerProcess] = []
        configure = f"app.config_from_object('settings', namespace={namespace!r} or None)"
        (folder / "settings.py").write_text(settings)
        (folder / "proj.py").write_text(PROJECT.format(imports=imports, configure=configure))
        self.env = environment(
            {
                "MULEROUTER_API_KEY": KEY,
                "MULEROUTER_BASE_URL": emulator.url,
                "MULEQUEUE_STORAGE": str(folder / "files"),
                "MULEQUEUE_NOTIFICATION_SECRET": SECRET,
                "C_FORCE_ROOT": "1",  # workers that read pickle refuse to run as root otherwise
                **(env or {}),
            }
        )
        module: dict[str, Any] = {}
        exec(settings, module)
        names = {name: value for name, value in module.items() if not name.startswith("_")}
        self.app = Celery("proj", set_as_current=False)
        self.app.config_from_object(SimpleNamespace(**names), namespace=namespace or None)
        self._numbers = itertools.count()

    def worker(self, *options: str, name: str | None = None) -> WorkerProcess:
        """``celery -A proj worker``, ready."""
        name = name or f"w{len(self.workers)}"
        given = list(options) if "-c" in options else [*options, "-c", "2"]
        self.workers.append(WorkerProcess(name, self.env, self.folder, given, app="proj"))
        self.workers[-1].wait_ready()
        return self.workers[-1]

    def run(self, code: str, seconds: float = 30) -> str:
        """Run Python in the project, as its web process would; what it printed."""
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=self.env,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        assert 0 == done.returncode, done.stderr
        return done.stdout

    def generate(self, prompt: str, **call: Any) -> Any:
        """A signature that is checked five times a second."""
        call = {"poll_interval": 0.2, **call}
        return self.task("mulequeue.generate", MODEL, {"prompt": prompt}, **call)

    def chain(self, prompt: str = "a mule", **call: Any) -> Path:
        """Send generate | download | keep; the file its outcome will be in."""
        path = self._path()
        self._ask_for_no_results()
        keep = self.task("proj.keep", str(path))
        (self.generate(prompt, **call) | self.task("mulequeue.download") | keep).delay()
        return path

    def chord(self, count: int = 8) -> Path:
        """Send a chord of generate | download, with keep as its body; the file of its outcomes."""
        path = self._path()
        self._ask_for_no_results()
        header = [
            self.generate(f"mule {number}", on_failure="return") | self.task("mulequeue.download")
            for number in range(count)
        ]
        chord(header, app=self.app)(self.task("proj.keep", str(path)))
        return path

    def batch(self, count: int = 4) -> Path:
        """Send a batch, with keep behind it; the file of its members' short forms."""
        path = self._path()
        self._ask_for_no_results()
        inputs = [{"prompt": f"batch mule {number}", "n": 1} for number in range(count)]
        batch = self.task("mulequeue.generate_many", MODEL, inputs, poll_interval=0.2)
        (batch | self.task("proj.keep", str(path))).delay()
        return path

    def outcome(self, path: Path, seconds: float = 25) -> Any:
        """What the last task was given."""
        wait_until(path.exists, seconds=seconds, what=f"{path.name} of the project")
        return json.loads(path.read_text())

    def check(self) -> None:
        """One chain, one chord of eight and a batch of four are 13 stored pictures, each paid once."""
        chain, chord, batch = self.chain(), self.chord(), self.batch()
        outcomes, members = [self.outcome(chain), *self.outcome(chord)], self.outcome(batch)
        assert ["succeeded"] * 13 == [outcome["status"] for outcome in [*outcomes, *members]]
        stored = {urlsplit(ended["files"][0]["url"]).path for ended in [*outcomes, *members]}
        assert 13 == len(stored)
        assert all(Path(path).read_bytes().startswith(b"\x89PNG") for path in stored)
        assert 13 == self.emulator.stats()["creates"]

    def wait_for_countdown(self) -> None:
        """Until a worker holds a message that is due later."""

        def scheduled() -> bool:
            answer = self.app.control.inspect(timeout=1).scheduled() or {}
            return any(answer.values())

        wait_until(scheduled, what="a message with a countdown")

    def _ask_for_no_results(self) -> None:
        """A result that is thrown away would try for minutes to reach a Redis that is gone."""
        self.app.backend.on_task_call = lambda producer, task_id: {}
        self.app.backend.remove_pending_result = lambda result: result

    def _path(self) -> Path:
        return self.folder / f"kept{next(self._numbers)}.json"

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        print(self.logs[-20_000:])
