"""The tasks' own options win over the app's defaults."""

from __future__ import annotations

from collections.abc import Callable

from support.fleet import Fleet
from support.generations import QUICK, one

HOSTILE = """
task_acks_late = False
task_reject_on_worker_lost = False
task_track_started = True
task_time_limit = 2
task_soft_time_limit = 1
task_ignore_result = False
"""


def test_global_time_limit_never_cuts_a_submission(make_fleet: Callable[..., Fleet]) -> None:
    """A create that takes longer than the app's task_time_limit is waited for all the same."""
    fleet = make_fleet(celeryconfig=HOSTILE)
    fleet.worker(*QUICK)
    fleet.emulator.faults(creates=[{"do": "slow", "seconds": 2.5}])

    outcome = (one(fleet) | fleet.task("mulequeue.download")).delay().get(timeout=30)

    assert "succeeded" == outcome["status"]
    assert 1 == fleet.emulator.stats()["creates"]
    assert "time limit" not in fleet.logs
