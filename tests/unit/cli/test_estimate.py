"""When a batch will be done."""

from __future__ import annotations

import pytest
from support.batches import batch

from mulequeue.cli.estimate import Pace


def test_nothing_is_said_before_the_first_is_over() -> None:
    """No duration was seen: any figure would be made up."""
    pace = Pace()
    pace.observe(0, batch(4, generating=4))
    pace.add_samples([], [0.0])

    assert pace.seconds_left(9) is None


def test_when_all_run_the_youngest_decides() -> None:
    """One of forty is over after 110 s: the others need seconds, not forty times as long."""
    pace = Pace()
    pace.observe(0, batch(40, generating=40))
    pace.observe(110, batch(40, generating=39, succeeded=1, downloaded=1))
    pace.add_samples([108.0], [2.0, 12.0])

    assert pytest.approx(10) == pace.seconds_left(110)
    assert pytest.approx(4) == pace.seconds_left(116)


def test_nothing_is_said_of_what_takes_longer_than_usual() -> None:
    """The usual time has passed and one still runs: nobody knows."""
    pace = Pace()
    pace.observe(50, batch(2, generating=1, failed=1))
    pace.add_samples([10.0], [0.0])

    assert pace.seconds_left(50) is None


def test_a_backlog_is_reckoned_by_how_many_run_at_once() -> None:
    """Fifty at a time, thirty seconds each, a thousand to go: ten minutes."""
    pace = Pace()
    pace.observe(30, batch(1000, waiting=950, generating=50))
    pace.add_samples([30.0], [0.0])

    assert pytest.approx(600) == pace.seconds_left(30)


def test_a_backlog_goes_by_the_pace_once_there_is_one() -> None:
    """A hundred in the last fifty seconds, two hundred to go; what was before does not count."""
    pace = Pace()
    pace.observe(0, batch(1000, waiting=950, generating=50))
    for second, count in ((500, 700), (520, 740), (545, 790), (550, 800)):
        pace.observe(second, batch(1000, waiting=200, failed=count))

    assert pytest.approx(100) == pace.seconds_left(550)


def test_files_that_are_on_the_way_take_time_too() -> None:
    """All generations are over: the pace of the downloads is what counts."""
    pace = Pace()
    pace.observe(0, batch(100, succeeded=100, downloaded=0))
    pace.observe(20, batch(100, succeeded=100, downloaded=40))

    assert pytest.approx(30) == pace.seconds_left(20)


def test_the_end_needs_no_time() -> None:
    """When all are done there is nothing left to tell."""
    pace = Pace()
    pace.observe(1, batch(1, failed=1))

    assert pace.seconds_left(1) is None


def test_files_that_are_stored_slowly_count_in_full() -> None:
    """Forty are generated and 60 wait for their download: at the pace of the last minute."""
    pace = Pace()
    pace.observe(0, batch(200, generating=140, succeeded=60, downloaded=0))
    pace.observe(50, batch(200, generating=40, succeeded=160, downloaded=100))
    pace.add_samples([20.0], [45.0])

    assert pytest.approx(50) == pace.seconds_left(50)
