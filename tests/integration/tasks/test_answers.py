"""What every answer to a create request comes to: for the money, the record and the caller."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.fleet import Fleet
from support.generations import QUICK, Log, new_id, one

from mulequeue.errors import GenerationError, GenerationFailed, SubmitUnknown

REFUSED = [
    # status, reason
    (400, "InvalidRequestError"),
    (403, "AuthenticationError"),
    (404, "InvalidRequestError"),
    (405, "InvalidRequestError"),
    (409, "InvalidRequestError"),
    (422, "InvalidRequestError"),
    (451, "InvalidRequestError"),
]


def failure_of(fleet: Fleet, *creates: dict[str, Any]) -> GenerationError:
    """What the caller of ``get`` sees when creates are answered like that."""
    fleet.emulator.faults(creates=list(creates))
    with pytest.raises(GenerationError) as caught:
        one(fleet).delay().get(timeout=30)
    fleet.wait_for_state(caught.value.outcome["task_id"], "delivered")
    return caught.value


@pytest.mark.parametrize("status", [200, 201, 202])
def test_accepted(shared: Fleet, status: int) -> None:
    """Any 2xx with an id is waited for."""
    shared.emulator.faults(create_http_status=status)

    outcome = one(shared).delay().get(timeout=30)

    assert "succeeded" == outcome["status"]
    assert 1 == shared.emulator.stats()["creates"]


@pytest.mark.parametrize(
    "words", [{"create_id_field": "task_id"}, {"create_status": "omitted"}, {"vocabulary": "A"}]
)
def test_accepted_in_other_words(shared: Fleet, words: dict[str, str]) -> None:
    """The id under its other name, no status at all, and the other status words are accepted."""
    shared.emulator.faults(**words)

    assert "succeeded" == one(shared).delay().get(timeout=30)["status"]


def test_terminal_on_create(shared: Fleet) -> None:
    """An answer that is already final settles at once, without a status check."""
    shared.emulator.faults(lives=[{"at_create": True}])

    outcome = one(shared).delay().get(timeout=30)

    assert "succeeded" == outcome["status"]
    assert outcome["assets"]
    assert 0 == shared.emulator.stats()["polls"]


def test_completed_on_create_without_files(shared: Fleet) -> None:
    """A create that says completed but names no file is checked before it counts as empty."""
    shared.emulator.faults(lives=[{"seconds": 0}])

    outcome = one(shared).delay().get(timeout=30)

    assert outcome["assets"]
    assert 1 == shared.emulator.stats()["polls"]


def test_failed_on_create(shared: Fleet) -> None:
    """A create that answers with a failed generation is a failure with its text."""
    shared.emulator.faults(
        lives=[{"at_create": True, "end": "failed", "code": 3001, "detail": "too many mules"}]
    )

    with pytest.raises(GenerationFailed, match="too many mules") as caught:
        one(shared).delay().get(timeout=30)

    assert 3001 == caught.value.error["code"]
    assert "GenerationFailed" == caught.value.reason


@pytest.mark.parametrize(("status", "reason"), REFUSED)
def test_refused(shared: Fleet, status: int, reason: str) -> None:
    """A refusal is final: one create, a failure of its own kind with the API's words."""
    answer = {"do": "status", "status": status, "detail": f"no mules after {status}"}

    exc = failure_of(shared, answer)

    assert isinstance(exc, GenerationFailed)
    assert reason == exc.reason
    assert status == exc.error["status_code"]
    assert f"no mules after {status}" in str(exc)
    assert 1 == shared.emulator.stats()["creates"]


def test_refused_in_an_envelope(shared: Fleet) -> None:
    """A 400 that carries a failed task instead of a problem object has its text read, too."""
    shared.emulator.faults(post_error="envelope")

    with pytest.raises(GenerationFailed, match="prompt") as caught:
        one(shared, 7, validate="off").delay().get(timeout=30)

    assert 1 == shared.emulator.stats()["creates"]
    assert 0 == shared.emulator.stats()["created"]
    assert "InvalidRequestError" == caught.value.reason


def test_edge_block(shared: Fleet) -> None:
    """A 403 that is not JSON is told apart from a wrong key."""
    exc = failure_of(shared, {"do": "edge_block"})

    assert "EdgeBlocked" == exc.reason
    assert 1 == shared.emulator.stats()["creates"]


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_server_error_is_never_sent_again(shared: Fleet, status: int) -> None:
    """A 5xx may have been paid: nobody knows, and it is sent once."""
    exc = failure_of(shared, {"do": "status", "status": status})

    assert isinstance(exc, SubmitUnknown)
    assert "SubmitUnknown" == exc.reason
    assert status == exc.error["status_code"]
    assert 1 == shared.emulator.stats()["creates"]


@pytest.mark.parametrize(
    ("fault", "created"), [("drop", 0), ("drop_after", 1), ("no_id", 1), ("not_json", 1)]
)
def test_lost_answer_is_never_sent_again(shared: Fleet, fault: str, created: int) -> None:
    """A create whose answer is lost or unreadable may exist: nobody knows, and it is sent once."""
    exc = failure_of(shared, {"do": fault})

    assert isinstance(exc, SubmitUnknown)
    assert "never sent again" in str(exc)
    stats = shared.emulator.stats()
    assert (1, created) == (stats["creates"], stats["created"])


@pytest.mark.parametrize("status", [429, 503])
def test_refused_for_now(shared: Fleet, status: int) -> None:
    """A 429 or 503 with Retry-After was not created: it waits that long and is sent again."""
    shared.emulator.faults(
        creates=[{"do": "status", "status": status, "retry_after": "1", "count": 1}]
    )
    task_id = new_id()

    result = one(shared).apply_async(task_id=task_id)
    shared.wait_for_state(task_id, "waiting")

    assert "succeeded" == result.get(timeout=30)["status"]
    stats = shared.emulator.stats()
    assert (2, 1) == (stats["creates"], stats["created"])


def test_refused_for_now_without_a_time(shared: Fleet) -> None:
    """A 429 that names no time waits five seconds at first; nothing has failed meanwhile."""
    shared.emulator.faults(creates=[{"do": "status", "status": 429}])
    task_id = new_id()

    one(shared).apply_async(task_id=task_id)
    shared.wait_for_state(task_id, "waiting")

    (status,) = shared.ledger.limits.submission_statuses(["default"])
    (pause,) = status.scopes
    assert pause.until - shared.ledger.queries.now() == pytest.approx(5, abs=2)
    assert shared.ledger.queries.record(task_id).status is None
    assert 1 == shared.emulator.stats()["creates"]


@pytest.mark.parametrize(("status", "fix"), [(401, "a valid key"), (402, "Top it up")])
def test_what_can_be_fixed_stops_the_line_and_not_the_work(
    shared: Fleet, status: int, fix: str
) -> None:
    """A rejected key and an empty balance fail nothing: all wait, with what to fix, and go on after it."""
    refusal = {"do": "status", "status": status, "detail": "no mules", "retry_after": "2"}
    shared.emulator.faults(creates=[refusal])
    log, ids = Log(shared), [new_id() for _ in range(3)]
    results = [one(shared).apply_async(task_id=task_id) for task_id in ids]
    log.wait_for("submissions paused: ")
    for task_id in ids:
        shared.wait_for_state(task_id, "waiting")
    (found,) = shared.ledger.limits.submission_statuses(["default"])
    reasons = {pause.reason for pause in found.scopes}

    shared.emulator.faults(creates=[])

    assert ["succeeded"] * 3 == [result.get(timeout=30)["status"] for result in results]
    assert all("no mules" in reason and fix in reason for reason in reasons)
    assert fix in log.text
    stats = shared.emulator.stats()
    assert 3 == stats["created"]
    assert stats["creates"] <= 6


def test_a_caller_who_would_rather_fail_sets_expires(shared: Fleet) -> None:
    """The wait for a balance ends when the task expires: unpaid, with the reason of the pause."""
    shared.emulator.faults(creates=[{"do": "status", "status": 402, "detail": "no mules left"}])

    outcome = one(shared, on_failure="return").apply_async(expires=3).get(timeout=30)

    assert ("failed", "Expired") == (outcome["status"], outcome["error"]["type"])
    assert "no mules left" in outcome["error"]["detail"]
    assert outcome["remote_id"] is None


def test_status_word_of_no_dictionary_is_active(shared: Fleet) -> None:
    """A status word nobody knows is taken as still active, and the end is not missed."""
    shared.emulator.faults(lives=[{"active_word": "pondering", "seconds": 0.4}])

    outcome = one(shared).delay().get(timeout=30)

    assert "succeeded" == outcome["status"]


@pytest.mark.parametrize(("end", "reason"), [("failed", "GenerationFailed"), ("empty", "NoAssets")])
def test_failure_at_the_end(make_fleet: Callable[..., Fleet], end: str, reason: str) -> None:
    """A generation that failed, and one that completed without a file, are failures of two kinds."""
    fleet = make_fleet(env={"MULEQUEUE_NOT_FOUND_GRACE_SECONDS": "1"})
    fleet.worker(*QUICK)
    fleet.emulator.faults(lives=[{"end": end}])

    with pytest.raises(GenerationFailed) as caught:
        one(fleet).delay().get(timeout=30)

    assert reason == caught.value.reason
    assert caught.value.outcome["remote_id"]


def test_outcome_as_a_value(shared: Fleet) -> None:
    """With on_failure="return" a refusal is a value with the same error in it."""
    shared.emulator.faults(creates=[{"do": "status", "status": 422}])

    outcome = one(shared, on_failure="return").delay().get(timeout=30)

    assert ("failed", "InvalidRequestError") == (outcome["status"], outcome["error"]["type"])
