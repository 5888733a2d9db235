"""Answers to a create request that come in an odd form: what they mean for the money, the pause and
the caller. (The plain ones are in ``test_answers``.)

Every row is an account and a prompt of its own, so that all rows run at the same time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import pytest
from support.accounts import fleet_of_accounts
from support.fleet import Fleet
from support.generations import new_id, one
from support.raw_server import RawServer, http, raw_server
from support.waiting import wait_until


def too_many(retry_after: str | None) -> dict[str, Any]:
    return {"do": "status", "status": 429, "retry_after": retry_after}


NOT_CREATED: dict[str, tuple[dict[str, Any], float, float]] = {
    # the answer, and the least and most seconds until submissions of the account go on
    "429-seconds": (too_many("7"), 5, 7),
    # Dates far ahead: the rows are made when the tests are collected, minutes before they run.
    "429-date": (too_many(formatdate(time.time() + 3000, usegmt=True)), 600, 3000),
    "429-absurd": (too_many("99999999"), 3590, 3600),
    "429-negative": (too_many("-5"), 3, 5),
    "429-rubbish": (too_many("in a while"), 3, 5),
    "429-missing": (too_many(None), 3, 5),
    "429-page": ({**too_many(None), "html": True}, 3, 5),
    "429-huge": ({**too_many("7"), "bytes": 10_000_000}, 5, 7),
    "503-date": (
        {"do": "status", "status": 503, "retry_after": formatdate(time.time() + 3000, usegmt=True)},
        600,
        3000,
    ),
}
NO_WORDS = {"title": "No permission", "detail": "None (request_id: 6f1c)", "code": 0}
ENDED: dict[str, tuple[dict[str, Any], str, str, str]] = {
    # the answer, and the status, the kind of error and words of it that the user sees
    "none-detail": (
        {"do": "status", "status": 403, **NO_WORDS},
        "failed",
        "AuthenticationError",
        "No permission",
    ),
    "403-page": (
        {"do": "status", "status": 403, "html": True},
        "failed",
        "EdgeBlocked",
        "the key may still be valid",
    ),
    "400-huge": (
        {"do": "status", "status": 400, "bytes": 10_000_000},
        "failed",
        "InvalidRequestError",
        "Parameter validation failed",
    ),
    "500-huge": (
        {"do": "status", "status": 500, "bytes": 10_000_000},
        "submit_unknown",
        "SubmitUnknown",
        "HTTP 500",
    ),
    "slow-body": (
        {"do": "slow_body", "seconds": 20.0},
        "submit_unknown",
        "SubmitUnknown",
        "never sent again",
    ),
    "redirected": ({"do": "redirect"}, "failed", "InvalidRequestError", "redirects to 127.0.0.1"),
}


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet_of_accounts(
        tmp_path_factory.mktemp("accounts"),
        [*NOT_CREATED, *ENDED],
        min_seconds=0.1,
        max_seconds=0.2,
        env={"MULEQUEUE_SUBMIT_TIMEOUT_SECONDS": "3"},
    ) as fleet:
        fleet.worker("-c", "4")
        yield fleet


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[RawServer]:
    """The host that a create is redirected to."""
    with raw_server(http("202 Accepted", '{"task_info": {"id": "x"}}')) as server:
        yield server


def _sent(fleet: Fleet, answers: dict[str, dict[str, Any]]) -> dict[str, str]:
    """One generation per row, its create answered once as the row says; the task ids."""
    fleet.emulator.reset()
    bursts = [{**answer, "contains": f"<{name}>", "count": 1} for name, answer in answers.items()]
    fleet.emulator.faults(creates=bursts)
    ids = {name: new_id(name) for name in answers}
    for name, task_id in ids.items():
        one(fleet, f"<{name}>", profile=name).apply_async(task_id=task_id, ignore_result=True)
    return ids


def test_not_created_waits_as_asked(accounts: Fleet) -> None:
    """A refusal for now pauses the account for what the API asks, in seconds or by a date, for an
    hour at most, and five seconds when it asks nothing that can be read; nothing has failed.
    """
    ids = _sent(accounts, {name: answer for name, (answer, _, _) in NOT_CREATED.items()})
    pauses: dict[str, float] = {}

    def all_paused() -> bool:
        statuses = accounts.ledger.limits.submission_statuses(list(ids))
        now = accounts.ledger.queries.now()
        for status in statuses:
            for pause in status.scopes:
                pauses.setdefault(status.profile, pause.until - now)
        return len(pauses) == len(ids)

    wait_until(all_paused, what="every account to pause")

    odd = {n: p for n, p in pauses.items() if not NOT_CREATED[n][1] <= p <= NOT_CREATED[n][2]}
    assert {} == odd
    states = {name: accounts.ledger.queries.record(task_id).state for name, task_id in ids.items()}
    assert {"waiting"} == set(states.values())
    assert (len(ids), 0) == tuple(
        accounts.emulator.stats()[name] for name in ("creates", "created")
    )


def test_odd_answers_end_a_submission(accounts: Fleet, elsewhere: RawServer) -> None:
    """Whatever the form of an answer: it is asked for once, and the user is told what it meant."""
    answers = {name: answer for name, (answer, _, _, _) in ENDED.items()}
    answers["redirected"] = {"do": "redirect", "location": f"{elsewhere.url}/vendors/x"}

    ids = _sent(accounts, answers)

    for name, task_id in ids.items():
        record = accounts.wait_for_state(task_id, "delivered")
        _, status, kind, words = ENDED[name]
        error = record.answer["error"]
        assert (status, kind) == (record.status, error["type"]), name
        assert words in str(error), name
        assert len(str(error)) < 5000, name
    assert [] == elsewhere.requests
    assert len(ids) == accounts.emulator.stats()["creates"]


def test_an_answer_without_an_end_is_accepted(shared: Fleet) -> None:
    """The id at the start of an endless answer is taken, and the generation goes to its end."""
    shared.emulator.faults(creates=[{"do": "endless", "count": 1}])

    outcome = one(shared).delay().get(timeout=30)

    assert "succeeded" == outcome["status"]
    assert 1 == shared.emulator.stats()["creates"]


def test_packed_answers_are_read(shared: Fleet) -> None:
    """An API that compresses everything, asked or not, is understood from the create to the end."""
    shared.emulator.faults(gzip="always")

    outcome = one(shared).delay().get(timeout=30)

    assert "succeeded" == outcome["status"]
    assert 1 == shared.emulator.stats()["creates"]
