"""Answers to status checks that are about one generation alone: odd, useless, or too early."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.fleet import Fleet
from support.generations import QUICK, Log, new_id, one
from support.program import runs_in
from support.raw_server import http
from support.status_api import Answer, StatusAPI, status_api, task
from support.waiting import wait_until

PAGE = http("200 OK", "<html><h1>maintenance</h1></html>")
PICTURES = {"images": ["https://a.test/b.png"]}


def odd(prompt: str, remote_id: str, number: int) -> Answer:
    """Answer by the prompt; anything else succeeds at once."""
    done = task(remote_id, "completed", **PICTURES)
    match prompt:
        case "half an emoji":
            text = json.dumps({**done, "revised_prompt": "a mule \ud83d"})
            assert "\\ud83d" in text
            return text
        case "files follow":
            return task(remote_id, "completed", images=None) if number == 1 else done
        case "new word":
            return task(remote_id, "processing" if number == 1 else "moderated")
        case "another":
            return task("another", "completed", **PICTURES)
        case "page":
            return PAGE
        case "broken":
            return http("500 Internal Server Error", '{"title": "no such model"}')
        case "too large":
            return task(remote_id, "completed", audio="f" * 34_000_000)
    return done


IDS = {
    "odd id": "od d/\u00fc%2F?#&\"'\n\U0001f434",
    "half an id": "half \ud83d",
    "dots": "..",
}


@pytest.fixture
def api() -> Iterator[StatusAPI]:
    with status_api(odd, IDS) as api:
        yield api


@pytest.fixture
def fleet(api: StatusAPI, make_fleet: Callable[..., Fleet]) -> Fleet:
    """A fleet on that API, with a worker."""
    fleet = make_fleet(env={"MULEROUTER_BASE_URL": api.url})
    fleet.worker(*QUICK)
    return fleet


def send(fleet: Fleet, prompt: str, **call: Any) -> Any:
    return one(fleet, prompt, on_failure="return", **call).apply_async(task_id=new_id())


def test_half_an_emoji_fails_nothing(fleet: Fleet) -> None:
    """In the API's answer and in a prompt it becomes U+FFFD, from the worker to the result."""
    result = send(fleet, "half an emoji")
    own = send(fleet, "mine is cut \ud83d")

    assert "a mule \ufffd" == result.get(timeout=30)["extra"]["revised_prompt"]
    assert "succeeded" == own.get(timeout=30)["status"]
    assert "mine is cut \ufffd" == fleet.ledger.queries.record(own.id).label


def test_an_id_may_have_any_characters(fleet: Fleet) -> None:
    """It is asked about as one segment of the path; half an emoji in it cannot be, and is told."""
    results = {prompt: send(fleet, prompt, max_wait=1) for prompt in IDS}

    for prompt in ("odd id", "dots"):
        outcome = results[prompt].get(timeout=30)
        assert ("succeeded", IDS[prompt]) == (outcome["status"], outcome["remote_id"])
    wait_until(
        lambda: fleet.ledger.queries.record(results["half an id"].id).problem, what="the problem"
    )


def test_files_that_follow_the_word_are_waited_for(fleet: Fleet, api: StatusAPI) -> None:
    """The first answer says completed without files, the next one has them."""
    outcome = send(fleet, "files follow").get(timeout=30)

    assert "succeeded" == outcome["status"]
    assert 2 == api.checks["files follow"]


def test_a_new_word_is_told_also_late(fleet: Fleet) -> None:
    """A status word that is not known is logged, shown by ``status``, and named at the end."""
    log = Log(fleet)
    result = send(fleet, "new word", max_wait=5)
    log.wait_for("unknown status word: moderated")
    wait_until(lambda: fleet.ledger.queries.record(result.id).problem, what="the problem")

    shown = runs_in(fleet.folder, fleet.env)("status", result.id).stdout
    outcome = result.get(timeout=30)

    assert "unknown status 'moderated'" in shown
    assert "timed_out" == outcome["status"]
    assert "'moderated'" in outcome["error"]["detail"]
    assert 1 == log.text.count("unknown status word")


NEVER = {
    "page": "not JSON: maintenance",
    "broken": "no such model",
    "another": "another generation",
}


def test_what_never_answers_is_told_and_ends(fleet: Fleet) -> None:
    """The reason is logged and shown at once; the generation ends after its max_wait, others as ever."""
    log, program = Log(fleet), runs_in(fleet.folder, fleet.env)
    results = {prompt: send(fleet, prompt, max_wait=1) for prompt in NEVER}
    for prompt, reason in NEVER.items():
        log.wait_for(reason)
        shown = program("status", results[prompt].id).stdout
        running = json.loads(program("status", results[prompt].id, "--json").stdout)
        assert reason in shown
        assert "in a row since" in shown
        assert reason in running["problem"]

    assert "succeeded" == send(fleet, "healthy").get(timeout=30)["status"]
    for prompt, reason in NEVER.items():
        outcome = results[prompt].get(timeout=90)
        assert "timed_out" == outcome["status"]
        assert reason in outcome["error"]["detail"]
    assert len(NEVER) == log.text.count("gave up the status checks")


def test_an_answer_above_every_limit_ends_soon(fleet: Fleet, api: StatusAPI) -> None:
    """It fails after three checks, with what to do."""
    outcome = send(fleet, "too large").get(timeout=60)

    assert ("failed", "ResponseTooLarge") == (outcome["status"], outcome["error"]["type"])
    assert 3 == outcome["polls"]
