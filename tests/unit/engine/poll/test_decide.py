"""What a status check means for a record, by table."""

from __future__ import annotations

from typing import Any

import pytest

from mulequeue import catalog
from mulequeue.api.client import NotFound, Transient
from mulequeue.api.parsing import TaskReply, read_task
from mulequeue.engine.poll.decide import (
    ERROR_CEILING_SECONDS,
    ERRORS_TO_GIVE_UP,
    PollAgain,
    Terminal,
    decide,
    is_unanswered,
)
from mulequeue.engine.poll.poll_plan import PollPlan
from mulequeue.ledger import Due, DurationSample, Problem
from mulequeue.outcome import ErrorInfo

NOW = 10_000.0
PATH = "alibaba/v1/wan2.6-t2i/generation"
DAY = 24 * 3600
NO_ASSETS = "The generation completed without any file; it was probably billed"


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
    error = ErrorInfo(type="InvalidRequestError", title="gone", status_code=404)
    return NotFound(error=error, is_gone=is_gone)


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


def test_completed_without_assets_is_checked_again_for_a_minute() -> None:
    """Files may follow the word; without them it is told apart from a failed generation."""
    problem, waits, at, errors = "", [], NOW, 0
    while isinstance(
        again := decided(reply("completed"), now=at, errors=errors, problem=problem), PollAgain
    ):
        waits.append(again.due - at)
        at, errors, problem = again.due, again.errors, again.problem

    assert [2, 4, 8, 16, 32] == waits
    assert Problem(NOW, "empty", f"{NO_ASSETS}; its files may follow") == Problem.parse(problem)
    assert ("failed", "NoAssets") == (again.status, again.answer["error"]["type"])


def test_other_errors_do_not_shorten_the_wait_for_files() -> None:
    """The minute starts at the first empty end, also after checks that failed."""
    failing = Problem(NOW - 600, "error", "HTTP 502").dump()

    assert isinstance(decided(reply("completed"), errors=9, problem=failing), PollAgain)


def test_a_shorter_grace_shortens_the_wait_for_files() -> None:
    """The setting for ids that are not visible yet limits the wait for files as well."""
    since = Problem(NOW - 3, "empty", "").dump()

    ends = [decided(reply("completed"), known={"grace_seconds": s}, problem=since) for s in (4, 3)]

    assert [PollAgain, Terminal] == [type(end) for end in ends]


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
    """A generation without a usable answer for a day is timed out, with the last error."""
    decision = decided(found, started=NOW - DAY - 1)

    assert isinstance(decision, Terminal)
    assert "timed_out" == decision.status
    reason = "no" if isinstance(found, Transient) else "HTTP 404: gone"
    assert decision.answer["error"]["detail"].startswith(f"{reason}. It may still finish")


@pytest.mark.parametrize(
    ("fields", "answers_others", "kind"),
    [
        ({}, True, Terminal),
        ({}, False, PollAgain),
        ({"deadline": NOW + 0.1}, True, PollAgain),
        ({"errors": ERRORS_TO_GIVE_UP - 2}, True, PollAgain),
    ],
)
@pytest.mark.parametrize("found", [transient(200), transient(500), gone(False)])
def test_what_only_this_generation_lacks_ends_at_its_deadline(
    found: Any, fields: dict[str, Any], answers_others: bool, kind: type
) -> None:
    """If the API answers others, max_wait holds also for a generation that it never answers about."""
    given = {"errors": ERRORS_TO_GIVE_UP - 1, "deadline": NOW, **fields}

    decision = decided(found, known={"answers_others": answers_others}, **given)

    assert isinstance(decision, kind)
    assert kind is PollAgain or "timed_out" == decision.status
    assert is_unanswered(due(**given), found, NOW) == ({} == fields)


def test_an_answer_above_every_limit_ends_soon() -> None:
    """The third response in a row that is too large fails the generation, and says what to do."""
    found = Transient(reason="the response is larger than 32 MiB", is_too_large=True)

    assert isinstance(decided(found, errors=1), PollAgain)
    ended = decided(found, errors=2)

    assert ("failed", "ResponseTooLarge") == (ended.status, ended.answer["error"]["type"])
    assert '"output_format": "url"' in ended.answer["error"]["detail"]


def test_a_problem_keeps_its_time_and_a_good_answer_clears_it() -> None:
    """The record keeps why a check is repeated, since when in a row, and nothing after that."""
    first = decided(transient())
    second = decided(gone(False), now=NOW + 2, errors=1, problem=first.problem)
    third = decided(reply("moderated"), now=NOW + 6, errors=2, problem=second.problem)
    last = decided(reply("processing"), now=NOW + 9, problem=third.problem)

    problems = [Problem.parse(it.problem) for it in (first, second, third)]
    assert [
        Problem(NOW, "error", "no"),
        Problem(NOW, "error", "HTTP 404: gone"),
        Problem(NOW + 6, "status", "moderated"),
    ] == problems
    assert "" == last.problem


@pytest.mark.parametrize(
    ("word", "shown"), [("moderated", "moderated"), ("x\ny", "x y"), (None, "none")]
)
def test_an_unknown_word_is_the_reason_of_the_end(word: Any, shown: str) -> None:
    """A generation that ends at its deadline with an unknown status names it."""
    found = read_task({"task_info": {"id": "r", "status": word}})

    decision = decided(found, deadline=NOW)

    assert "timed_out" == decision.status
    assert f"{shown!r}, which is unknown" in decision.answer["error"]["detail"]


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

    assert 6.0 == pytest.approx(waited(known=known))
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
