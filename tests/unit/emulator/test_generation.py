"""A generation at a moment."""

from __future__ import annotations

import math

import pytest

from mulequeue.catalog import find
from mulequeue.emulator.faults import Life
from mulequeue.emulator.generation import Generation


def generation(seconds=10.0, **life):
    return Generation(
        remote_id="r",
        model=find("alibaba/wan2.6-t2i"),
        body={"prompt": "a mule"},
        created=1000.0,
        seconds=seconds,
        life=Life(**life),
    )


@pytest.mark.parametrize(
    ("now", "phase", "changed"),
    [
        (1000.0, "pending", 1000.0),
        (1001.9, "pending", 1000.0),
        (1002.0, "processing", 1002.0),
        (1009.9, "processing", 1002.0),
        (1010.0, "completed", 1010.0),
        (9999.0, "completed", 1010.0),
    ],
)
def test_it_waits_is_worked_on_and_ends(now, phase, changed):
    """The phases follow each other, each with the time at which it began."""
    assert (phase, changed) == (generation().phase(now), generation().changed(now))


def test_it_may_show_retrying_on_the_way():
    """The last part of the way can be spent retrying."""
    assert "processing" == generation(retrying=True).phase(1005.9)
    assert "retrying" == generation(retrying=True).phase(1006.0)


def test_it_may_fail():
    """A failed end is failed, not completed."""
    assert "failed" == generation(end="failed").phase(1010.0)


@pytest.mark.parametrize("now", [1000.0, 1100.0, 1e9])
def test_one_that_never_ends_stays_active(now):
    """However long one looks."""
    assert generation(math.inf, end="never").phase(now) in ("pending", "processing")


def test_a_life_in_polls_ends_with_the_last_of_them():
    """Polls are counted instead of seconds."""
    counted = generation(math.inf, polls=3)

    phases = []
    for now in (1001.0, 1002.0, 1003.0, 1004.0):
        counted.count_poll(now)
        phases.append(counted.phase(now))

    assert ["pending", "processing", "completed", "completed"] == phases
    assert 1003.0 == counted.changed(1004.0)


def test_finishing_ends_it_now_and_only_once():
    """A terminal state is final: a later finish does not move the end."""
    early = generation()

    early.finish(1003.0)
    early.finish(1005.0)

    assert 1003.0 == early.ended
    assert "completed" == early.phase(1003.0)


def test_it_is_visible_unless_told_otherwise():
    """Without any fault it is found from the start."""
    assert generation().is_visible(1000.0)


def test_it_may_be_hidden_for_the_first_polls():
    """The first N polls do not find it, the next one does."""
    hidden = generation(hidden_polls=2)

    seen = []
    for _ in range(3):
        hidden.count_poll(1001.0)
        seen.append(hidden.is_visible(1001.0))

    assert [False, False, True] == seen


def test_it_may_vanish():
    """From a moment on it is not found any more."""
    assert generation(vanish_after_seconds=5.0).is_visible(1004.9)
    assert not generation(vanish_after_seconds=5.0).is_visible(1005.0)
