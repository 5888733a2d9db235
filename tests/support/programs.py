"""Programs that a test needs and does not bring along."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest


def missing(reason: str) -> NoReturn:
    """What is missing is a skip at home and a failure in CI."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def program(name: str, install: str) -> str:
    """Where it is; ends the test if it is :func:`missing`.

    :param install: what installs it, for who reads the reason.
    """
    beside_python = str(Path(sys.executable).parent)
    found = shutil.which(name, path=os.pathsep.join([beside_python, os.environ["PATH"]]))
    if found is None:
        missing(f"no {name} on PATH ({install})")
    return found


def run_logged(command: list[str], log: Path, *, seconds: float = 120, **options: Any) -> None:
    """Run a program to its end; if it fails, the test fails with what the program wrote.

    The output goes to a file: a server that the program starts inherits it, and a pipe would keep
    us waiting for the server's end.

    :param log: where its output goes.
    :param options: of :func:`subprocess.run`.
    """
    with log.open("wb") as output:
        done = subprocess.run(command, stdout=output, stderr=output, timeout=seconds, **options)
    if done.returncode != 0:
        pytest.fail(f"{command[0]} exited {done.returncode}:\n{log.read_text(errors='replace')}")
