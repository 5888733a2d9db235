"""The program beside a fleet."""

from __future__ import annotations

import pytest
from support.fleet import Fleet
from support.program import Run, program_in


@pytest.fixture
def cli(fleet: Fleet) -> Run:
    """Runs the program in the fleet's folder and environment."""
    return program_in(fleet)
