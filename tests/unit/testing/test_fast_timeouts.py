"""Waits are short while a test runs, and as ever afterwards."""

from __future__ import annotations

import pytest

from mulequeue.catalog import all_models
from mulequeue.catalog.poll_schedule import PollSchedule
from mulequeue.engine.poll import sweep
from mulequeue.testing import fast_timeouts


@pytest.mark.parametrize("attempt", [0, 1, 20])
def test_no_wait_between_checks_is_long(attempt):
    """A twentieth of a second at most, for every model."""
    with fast_timeouts():
        waits = [model.schedule.seconds(attempt) for model in all_models()]

    assert max(waits) <= 0.05
    assert min(model.schedule.seconds(attempt) for model in all_models()) >= 2


def test_a_shorter_wait_stays_what_it_is():
    """An interval that a test asks for itself is kept."""
    with fast_timeouts():
        assert 0.01 == PollSchedule.fixed(0.01).seconds(3)


def test_everything_is_as_before_in_the_end():
    """Also after an error."""
    before = sweep.GAP_SECONDS, PollSchedule.seconds

    def fails():
        with fast_timeouts():
            assert before != (sweep.GAP_SECONDS, PollSchedule.seconds)
            raise KeyError

    with pytest.raises(KeyError):
        fails()

    assert before == (sweep.GAP_SECONDS, PollSchedule.seconds)
