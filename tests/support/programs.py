"""Programs that a test needs and does not bring along."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest


def program(name: str, install: str) -> str:
    """Where it is; a missing one is a skip at home and a failure in CI.

    :param install: what installs it, for who reads the reason.
    """
    beside_python = str(Path(sys.executable).parent)
    found = shutil.which(name, path=os.pathsep.join([beside_python, os.environ["PATH"]]))
    if found is None:
        reason = f"no {name} on PATH ({install})"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return str(found)
