"""Why a generation does not end, in a field of its record."""

from __future__ import annotations

import pytest

from mulequeue.ledger import Problem
from mulequeue.ledger.records import MAX_TEXT


def test_a_problem_is_read_as_it_was_written() -> None:
    """Time, kind and text survive the record, a long text its beginning."""
    problem = Problem(1_800_000_000.25, "error", "HTTP 500: no such model")

    assert problem == Problem.parse(problem.dump())
    long = Problem.parse(Problem(1.0, "error", "x" * 1000).dump())
    assert long is not None
    assert MAX_TEXT == len(long.text)


@pytest.mark.parametrize("text", ["", "error", "soon error x"])
def test_what_is_no_problem_is_none(text: str) -> None:
    """An empty field, and one of another version, is no problem."""
    assert Problem.parse(text) is None


def test_an_unknown_status_is_explained() -> None:
    """The sentence for people says what an unknown status means."""
    assert (
        "unknown status 'moderated'; it counts as active"
        in Problem(1.0, "status", "moderated").sentence
    )
    assert "HTTP 500" == Problem(1.0, "error", "HTTP 500").sentence
