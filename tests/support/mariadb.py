"""A MariaDB of the tests' own: a temporary folder, a free loopback port."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from support.ports import free_port
from support.programs import missing, run_logged
from support.waiting import wait_until

# Program -> the Debian package that has it. The first one calls the second.
_PACKAGES = {
    "mariadb-install-db": "mariadb-server-core",
    "my_print_defaults": "mariadb-client-core",
    "mariadbd": "mariadb-server-core",
}


def _program(name: str) -> str:
    """Debian keeps the server out of PATH for those who are not root."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/bin")
    if found is None:
        missing(f"no {name} (apt install {_PACKAGES[name]})")
    return found


class MariaServer:
    """``mariadbd`` with a database ``shop`` that tells capitals from small letters."""

    def __init__(self) -> None:
        install, _, mariadbd = map(_program, _PACKAGES)
        self.folder = Path(tempfile.mkdtemp(prefix="mulequeue-maria"))
        self.port = free_port()
        common = ["--no-defaults", f"--datadir={self.folder}/data"]
        if os.geteuid() == 0:
            common.append("--user=root")
        self._log = (self.folder / "log").open("wb")
        run_logged([install, *common, "--skip-test-db"], self.folder / "install.log")
        init = self.folder / "init.sql"
        init.write_text("CREATE DATABASE shop CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;\n")
        command = [mariadbd, *common, "--skip-grant-tables", "--bind-address=127.0.0.1"]
        command += [f"--port={self.port}", f"--socket={self.folder}/socket", f"--init-file={init}"]
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log)
        wait_until(self._answers, seconds=60, what=f"MariaDB; see {self.folder}/log")

    def _answers(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def database(self) -> dict[str, Any]:
        """An entry of Django's ``DATABASES``."""
        return {
            "ENGINE": "django.db.backends.mysql",
            "NAME": "shop",
            "USER": "shop",
            "HOST": "127.0.0.1",
            "PORT": self.port,
            "OPTIONS": {"charset": "utf8mb4"},
        }

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()
        shutil.rmtree(self.folder)
