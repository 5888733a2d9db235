"""What can be made to go wrong with requests, and what the emulator tells of them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from support.emulator_client import IMAGE, KEY, VIDEO, create, created, poll


@pytest.mark.parametrize(("status", "code"), [(402, 1003), (429, 1004), (503, 0)])
def test_the_next_creates_can_be_refused(emulator, status, code):
    """As many as asked for, with Retry-After, and nothing is stored."""
    emulator.faults(creates=[{"do": "status", "status": status, "count": 2, "retry_after": "7"}])

    refused = [create(emulator, prompt="a") for _ in range(2)]
    accepted = create(emulator, prompt="a")

    assert [(status, code, "7")] * 2 == [
        (item.status_code, item.json()["error_code"], item.headers["Retry-After"])
        for item in refused
    ]
    assert 202 == accepted.status_code
    assert (3, 1, 0) == tuple(
        emulator.stats()[name] for name in ("creates", "created", "duplicates")
    )


def test_a_burst_does_not_go_to_waste_on_a_wrong_body(emulator):
    """Validation and the key come before funds and rate."""
    emulator.faults(creates=[{"do": "status", "status": 429, "count": 1}])

    assert [400, 401, 429, 202] == [
        create(emulator).status_code,
        create(emulator, prompt="a", headers={}).status_code,
        create(emulator, prompt="a").status_code,
        create(emulator, prompt="a").status_code,
    ]


def test_the_next_polls_can_be_refused(emulator):
    """A page of the edge or a problem, then polls work again."""
    remote_id = created(emulator, prompt="a")
    emulator.faults(
        polls=[
            {"do": "status", "status": 502, "html": True, "count": 1},
            {"do": "edge_block", "count": 1},
            {"do": "not_json", "count": 1},
        ]
    )

    answers = [poll(emulator, remote_id) for _ in range(4)]

    assert [502, 403, 200, 200] == [item.status_code for item in answers]
    assert all("html" in item.headers["Content-Type"] for item in answers[:3])
    assert "pending" == answers[3].json()["task_info"]["status"]


@pytest.mark.parametrize(("do", "stored"), [("drop", 0), ("drop_after", 1)])
def test_the_connection_of_a_create_can_be_cut(emulator, do, stored):
    """Before the generation is stored, or after it: the client sees the same."""
    emulator.faults(creates=[{"do": do, "count": 1}])

    with pytest.raises(requests.ConnectionError):
        create(emulator, prompt="a")

    assert (1, stored) == (emulator.stats()["creates"], emulator.stats()["created"])


def test_a_stored_create_can_be_answered_without_its_id(emulator):
    """2xx without an id, or without JSON: the generation exists all the same."""
    emulator.faults(creates=[{"do": "no_id", "count": 1}, {"do": "not_json", "count": 1}])

    first, second = create(emulator, prompt="a"), create(emulator, prompt="b")

    assert (202, 202) == (first.status_code, second.status_code)
    assert "id" not in first.json()["task_info"]
    with pytest.raises(requests.JSONDecodeError):
        second.json()
    assert 2 == emulator.stats()["created"]


def test_creates_can_be_held_and_released(emulator):
    """A held create is not stored until it is released, one held after the storing is."""
    emulator.faults(creates=[{"do": "hold", "count": 1}, {"do": "hold_after", "count": 1}])

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(create, emulator, prompt="a")
        assert 0 == emulator.wait(held_creates=1)["created"]
        second = pool.submit(create, emulator, prompt="b")
        assert 1 == emulator.wait(held_creates=2)["created"]
        assert 1 == emulator.release("creates", 1)
        assert 202 == first.result().status_code
        assert not second.done()
        assert 1 == emulator.release()
        assert 202 == second.result().status_code

    assert (0, 2) == (emulator.stats()["held"], emulator.stats()["created"])


def test_resetting_the_faults_releases_who_is_held(emulator):
    """Nobody is left hanging after a test."""
    remote_id = created(emulator, prompt="a")
    emulator.faults(polls=[{"do": "hold"}])

    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(poll, emulator, remote_id)
        emulator.wait(held_polls=1)
        emulator.reset_faults()
        assert 200 == held.result().status_code


def test_received_bodies_can_be_compared(emulator):
    """Path, body, id and arrival of every create; no id for a refused one."""
    before = time.time()
    remote_id = created(emulator, prompt="a mule", seed=7)
    create(emulator, VIDEO, size="1280*720")

    creates = emulator.creates()
    arrivals = [sent.pop("at") for sent in creates]
    assert before <= arrivals[0] <= arrivals[1] <= time.time()
    assert [
        {"path": IMAGE, "body": {"prompt": "a mule", "seed": 7}, "remote_id": remote_id},
        {"path": VIDEO, "body": {"size": "1280*720"}, "remote_id": None},
    ] == creates


def test_generations_are_listed_with_their_states(emulator):
    """Id, path, status, prompt, polls, and when it was created, polled and ended."""
    remote_id = created(emulator, prompt="a mule")
    poll(emulator, remote_id)

    (listed,) = emulator.generations()
    (polled,) = listed.pop("polled")
    assert listed.pop("created") <= polled
    assert listed.pop("ended") is None
    assert {
        "remote_id": remote_id,
        "api_path": IMAGE,
        "status": "pending",
        "prompt": "a mule",
        "polls": 1,
    } == listed


def test_waiting_in_vain_ends(emulator):
    """TimeoutError with the counters."""
    with pytest.raises(TimeoutError, match="'polls': 0"):
        emulator.wait(polls=1, timeout_seconds=0.05)


def test_unknown_faults_and_questions_are_refused(emulator):
    """The error names what is known, and nothing changes."""
    with pytest.raises(ValueError, match=r"no key 'explode'\. Known: vocabulary"):
        emulator.faults(explode=True)
    with pytest.raises(ValueError, match="No counter 'pols'"):
        emulator.wait(pols=1)
    with pytest.raises(ValueError, match="No generation 'x'"):
        emulator.finish("x")
    with pytest.raises(
        ValueError, match="kind must be one of creates, polls, downloads, not 'poll'"
    ):
        emulator.release("poll")


def test_polls_over_several_connections_do_not_disturb_each_other(emulator):
    """Hundreds of polls over a few connections all get the same good answer."""
    remote_id = created(emulator, prompt="a")

    def polls(count):
        with requests.Session() as session:
            url = f"{emulator.url}{IMAGE}/{remote_id}"
            return [session.get(url, headers=KEY, timeout=20).json() for _ in range(count)]

    with ThreadPoolExecutor(4) as pool:
        answers = [answer for part in pool.map(polls, [100] * 4) for answer in part]

    assert 400 == emulator.stats()["polls"] == len(answers)
    assert all("pending" == answer["task_info"]["status"] for answer in answers)
