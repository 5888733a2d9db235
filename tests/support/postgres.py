"""A PostgreSQL cluster of the tests' own: a temporary folder, a free loopback port."""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import tempfile
from pathlib import Path
from typing import Any

from support.leftovers import mark
from support.ports import free_port
from support.programs import missing, run_logged


def _program(name: str) -> str:
    """Debian keeps the server's programs out of PATH."""
    places = [shutil.which(name), *sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))[::-1]]
    found = next((place for place in places if place), None)
    if found is None:
        missing(f"no {name} (apt install postgresql)")
    return os.path.realpath(found)


class PostgresServer:
    """``postgres``, as the user postgres when the tests run as root, which it refuses."""

    def __init__(self) -> None:
        initdb, self._pg_ctl = _program("initdb"), _program("pg_ctl")
        self._user = "postgres" if os.geteuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix="mulequeue-pg"))
        if self._user:
            os.chown(self.folder, pwd.getpwnam(self._user).pw_uid, -1)
        self.port = free_port()
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c fsync=off -k {self.folder}"
        self._run(initdb, "-U", "shop", "-A", "trust", "-E", "UTF8", "--no-sync")
        self._run(self._pg_ctl, "-o", options, "-l", str(self.folder / "log"), "-w", "start")

    @property
    def database(self) -> dict[str, Any]:
        """An entry of Django's ``DATABASES``."""
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "postgres",
            "USER": "shop",
            "HOST": "127.0.0.1",
            "PORT": self.port,
        }

    def _run(self, program: str, *args: str) -> None:
        data = str(self.folder / "data")
        run_logged(
            [program, "-D", data, *args],
            self.folder / f"{Path(program).name}.log",
            user=self._user,
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **mark()},
        )

    def stop(self) -> None:
        self._run(self._pg_ctl, "-m", "immediate", "-w", "stop")
        shutil.rmtree(self.folder)
