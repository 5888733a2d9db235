"""What is logged of generations that do not end."""

from __future__ import annotations

from typing import Any

import pytest

from mulequeue.engine.poll.checker import REPEAT_SECONDS, ProblemLog
from mulequeue.engine.poll.decide import ERRORS_TO_GIVE_UP, PollAgain, Terminal
from mulequeue.ledger import Due, Problem


class Log:
    """A log on a clock that the test sets."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.clock = 0.0
        self.problems = ProblemLog(lambda: self.clock)
        self._caplog = caplog

    def again(
        self, name: str, kind: str, text: str, *, errors: int = 1, known: str = ""
    ) -> list[str]:
        """Note a check that is repeated; return the lines."""
        due = Due(name, f"r-{name}", "a/b", "default", 0, errors - 1, None, 0.0, 0.0, 9.0, known)
        return self.lines(
            lambda: self.problems.again(
                due, PollAgain(1.0, errors, Problem(0.0, kind, text).dump())
            )
        )

    def lines(self, act: Any) -> list[str]:
        self._caplog.clear()
        act()
        return [record.getMessage() for record in self._caplog.records]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Log:
    return Log(caplog)


def test_the_first_error_is_logged_at_once(log: Log) -> None:
    """The first check of a row without a usable answer is logged with its reason."""
    (line,) = log.again("a", "error", "HTTP 500")

    assert "a" in line
    assert "HTTP 500" in line
    assert [] == log.again("a", "error", "HTTP 500", errors=2)


def test_an_outage_is_one_line(log: Log) -> None:
    """The same reason of many generations is one line per minute; another reason is another line."""
    lines = [log.again(str(number), "error", "HTTP 500") for number in range(50)]
    other = log.again("x", "error", "HTTP 502")
    log.clock += REPEAT_SECONDS

    assert 1 == sum(map(len, lines))
    assert [1, 1] == [len(other), len(log.again("y", "error", "HTTP 500"))]


def test_a_persistent_error_is_logged_of_each_generation(log: Log) -> None:
    """The fifth error in a row is logged of every generation, whatever was logged of others."""
    lines = [log.again(name, "error", "HTTP 500", errors=ERRORS_TO_GIVE_UP) for name in "abc"]

    assert [1, 1, 1] == [len(found) for found in lines]
    assert "5 status checks of c" in lines[2][0]


def test_an_unknown_word_is_logged_once_per_generation(log: Log) -> None:
    """A word is logged when it is new for its generation, also late, and once per minute."""
    known = Problem(0.0, "status", "moderated").dump()

    (line,) = log.again("a", "status", "moderated", errors=0)
    assert "unknown status word: moderated" in line
    assert [] == log.again("b", "status", "moderated", errors=0)
    log.clock += REPEAT_SECONDS
    assert [] == log.again("a", "status", "moderated", errors=0, known=known)
    assert 1 == len(log.again("c", "status", "moderated", errors=0))
    assert 1 == len(log.again("a", "status", "expired", errors=0, known=known))


def test_giving_up_is_logged_with_its_reason(log: Log) -> None:
    """The end of a generation that was given up names the error."""
    due = Due("a", "r", "a/b", "default", 9, 9, None, 0.0, 0.0, 9.0)
    end = Terminal("timed_out", {"error": {"title": "No usable answer", "detail": "HTTP 500."}})

    (line,) = log.lines(lambda: log.problems.end(due, end))

    assert "gave up the status checks of a: No usable answer. HTTP 500." == line
