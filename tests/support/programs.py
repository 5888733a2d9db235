"""Programs that a test needs and does not bring along."""

from __future__ import annotations

import os
import shutil

import pytest


def program(name: str, install: str) -> str:
    """Where it is; a missing one is a skip at home and a failure in CI.

    :param install: what installs it, for who reads the reason.
    """
    found = shutil.which(name)
    if found is None:
        reason = f"no {name} on PATH ({install})"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return str(found)
