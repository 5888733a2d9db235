"""What a status check means for a record, by table."""

from __future__ import annotations

from typing import Any

import pytest

from mulequeue import catalog
from mulequeue.api.client import NotFound, Transient
from mulequeue.api.parsing import TaskReply, read_task
from mulequeue.engine.poll.decide import ERROR_CEILING_SECONDS, PollAgain, Terminal, decide
from mulequeue.engine.poll.poll_plan import PollPlan
from mulequeue.ledger import Due, DurationSample
from mulequeue.outcome import ErrorInfo

NOW = 10_000.0
PATH = "alibaba/v1/wan2.6-t2i/generation"
DAY = 24 * 3600


def due(**fields: Any) -> Due:
    known: dict[str, Any] = {
        "task_id": "t",
        "remote_id": "r",
        "path": PATH,
        "profile": "default",
        "polls": 0,
        "errors": 0,
        "interval": None,
        "submitted": NOW - 100,
        "started": NOW - 99,
        "deadline": NOW + 100,
    }
    return Due(**{**known, **fields})


def reply(status: str, **more: Any) -> TaskReply:
    return read_task({"task_info": {"id": "r", "status": status}, **more}, kind="image")


def gone(is_gone: bool = True) -> NotFound:
    return NotFound(error=ErrorInfo(type="InvalidRequestError", status_code=404), is_gone=is_gone)


def transient(code: int | None = 503, later: float | None = None) -> Transient:
    return Transient(reason="no", status_code=code, retry_after_seconds=later)


def decided(
    found: Any, *, now: float = NOW, chance: float = 0.5, known: Any = None, **fields: Any
) -> PollAgain | Terminal:
    told = {"grace_seconds": 60, **(known or {})}
    return decide(due(**fields), found, now=now, chance=chance, **told)


@pytest.mark.parametrize("word", ["pending", "queued", "processing", "running", "retrying", "odd"])
def test_active_words_are_looked_at_again(word: str) -> None:
    """Every word that is not known to be final is asked again by the model's schedule."""
    decision = decided(reply(word))

    assert isinstance(decision, PollAgain)
    assert 0 < decision.due - NOW <= 10
    assert 0 == decision.errors


def test_waits_grow_with_the_checks() -> None:
    """The tenth wait is longer than the first, and a fixed interval stays."""
    first, tenth = (decided(reply("pending"), polls=polls).due for polls in (0, 9))
    assert first < tenth

    assert NOW + 7 == decided(reply("pending"), polls=9, interval=7.0).due


def test_success_and_failure_settle() -> None:
    """A final answer settles with its assets or its error, even after the deadline."""
    success = decided(reply("completed", images=["https://a/1.png"]), deadline=NOW - 1)
    failure = decided(reply("failed", error={"title": "no", "error_code": 3001}))

    assert ("succeeded", "https://a/1.png") == (success.status, success.answer["assets"][0]["url"])
    assert ("failed", 3001) == (failure.status, failure.answer["error"]["code"])


def test_completed_without_assets_is_a_failure_of_its_own() -> None:
    """Completed without a file is told apart from a failed generation."""
    decision = decided(reply("completed", images=[]))

    assert ("failed", "NoAssets") == (decision.status, decision.answer["error"]["type"])


@pytest.mark.parametrize(("deadline", "kind"), [(NOW + 0.1, PollAgain), (NOW, Terminal)])
def test_only_an_active_answer_times_out(deadline: float, kind: type) -> None:
    """After the deadline an answer that still says active settles as timed out."""
    decision = decided(reply("processing"), deadline=deadline)

    assert isinstance(decision, kind)
    assert kind is PollAgain or decision == Terminal("timed_out", {})


@pytest.mark.parametrize("found", [transient(), transient(401), transient(None), gone(False)])
def test_errors_never_time_out_before_a_day(found: Any) -> None:
    """A check that tells nothing is repeated, however long ago the deadline was."""
    decision = decided(found, deadline=NOW - 3000, started=NOW - DAY + 1)

    assert isinstance(decision, PollAgain)
    assert 1 == decision.errors


@pytest.mark.parametrize("found", [transient(), gone(False)])
def test_a_day_is_the_end(found: Any) -> None:
    """A generation that nobody could ask about for a day is timed out."""
    assert Terminal("timed_out", {}) == decided(found, started=NOW - DAY - 1)


@pytest.mark.parametrize(
    ("submitted", "found", "kind"),
    [
        (NOW - 59, gone(), PollAgain),
        (NOW - 61, gone(), Terminal),
        (NOW - 61, gone(False), PollAgain),
    ],
)
def test_unknown_id_is_final_after_the_grace_period(
    submitted: float, found: NotFound, kind: type
) -> None:
    """A 404 for the id is final once the grace period is over; one for the route never is."""
    assert isinstance(decided(found, submitted=submitted), kind)


def test_errors_back_off_to_a_ceiling() -> None:
    """Waits double with each error in a row, up to a minute."""
    waits = [decided(transient(), errors=errors).due - NOW for errors in range(8)]

    assert [2, 4, 8, 16, 32, 60, 60, 60] == waits
    assert ERROR_CEILING_SECONDS == waits[-1]


def test_retry_after_is_kept() -> None:
    """The API's own Retry-After is waited for when it is longer."""
    assert NOW + 90 == decided(transient(429, later=90)).due
    assert NOW + 2 == decided(transient(429, later=1)).due


def test_a_good_answer_forgets_the_errors() -> None:
    """Errors are counted in a row: a good answer starts over."""
    assert 0 == decided(reply("pending"), errors=6).errors


LEARNED = PollPlan([DurationSample(12.0, 12.0, 50)], catalog.find("alibaba/wan2.6-t2i").schedule)


def waited(*, known: Any = None, **fields: Any) -> float:
    """Seconds to the next check of one that is 6 s old."""
    times = {"submitted": NOW - 7, "started": NOW - 6}
    decision = decided(reply("pending"), known=known, **{**times, **fields})
    assert isinstance(decision, PollAgain)
    return decision.due - NOW


def test_a_learned_cadence_looks_when_it_is_likely_over() -> None:
    """One of 6 s whose kind takes 12 s is looked at then; one that took longer, by its model's schedule."""
    known = {"poll_plan": LEARNED}

    assert 7.2 == pytest.approx(waited(known=known))
    assert waited(started=NOW - 20) == waited(known=known, started=NOW - 20)


def test_what_somebody_asked_for_stands_against_what_was_learned() -> None:
    """An interval of the caller's own, and the backstop of webhooks, are what they were."""
    backstop = {"has_webhooks": True}

    assert 4.0 == waited(known={"poll_plan": LEARNED}, interval=4.0)
    assert waited(known=backstop) == waited(known={**backstop, "poll_plan": LEARNED})


def test_nothing_is_known_of_the_age_of_an_adopted_one() -> None:
    """A generation that nobody here began is looked at by its model's schedule."""
    adopted = {"submitted": NOW - 6, "started": NOW - 6}

    assert waited(**adopted) == waited(known={"poll_plan": LEARNED}, **adopted)
