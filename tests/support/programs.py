"""Programs that a test needs and does not bring along."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

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
