"""The emulator's API and the lives of its generations."""

from __future__ import annotations

import re
import uuid
from datetime import datetime

import pytest
import requests
from support.emulator_client import (
    AT_ONCE,
    IMAGE,
    KEY,
    SPEECH,
    VIDEO,
    create,
    created,
    finished,
    poll,
)


def test_a_generation_is_created_polled_and_ends(emulator):
    """202 pending, then 200 pending, then 200 completed with the URLs of the pictures."""
    response = create(emulator, prompt="a mule", n=2)
    info = response.json()["task_info"]
    before = poll(emulator, info["id"])
    emulator.finish(info["id"])
    after = poll(emulator, info["id"])

    assert 202 == response.status_code
    assert "pending" == info["status"]
    assert str(uuid.UUID(info["id"])) == info["id"]
    assert datetime.fromisoformat(info["created_at"]).tzinfo is not None
    assert (200, {"task_info": info}) == (before.status_code, before.json())
    assert (200, "completed") == (after.status_code, after.json()["task_info"]["status"])
    assert 2 == len(after.json()["images"])
    assert re.search(
        r"/public/production/ephemeral/[0-9a-f-]{36}/result_01\.png$", after.json()["images"][1]
    )


@pytest.mark.parametrize(
    ("path", "key", "ending"),
    [(IMAGE, "images", ".png"), (VIDEO, "videos", ".mp4"), (SPEECH, "audios", ".wav")],
)
def test_each_kind_has_its_result_key(emulator, path, key, ending):
    """Images, videos and audios are lists of URLs under their own keys."""
    answer = finished(emulator, path, prompt="a mule", output_format="url")

    assert [True] == [url.endswith(ending) for url in answer[key]]


def test_speech_is_hex_unless_urls_are_asked_for(emulator):
    """Without ``output_format`` the audio itself is in the answer, and it is a WAV."""
    answer = finished(emulator, SPEECH, prompt="hear me")

    audio = bytes.fromhex(answer["audios"][0])
    assert audio.startswith(b"RIFF")
    assert len(audio) == answer["audio_size"]


def test_every_answer_has_a_trace_id(emulator):
    """Good or bad, the Traceparent header is there and differs."""
    traces = {
        create(emulator, prompt="a").headers["Traceparent"],
        create(emulator).headers["Traceparent"],
        poll(emulator, "x").headers["Traceparent"],
        requests.get(emulator.url + "/nowhere", timeout=20).headers["Traceparent"],
    }

    assert 4 == len(traces)
    assert all(re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", trace) for trace in traces)


def test_an_unknown_path_has_no_error_code(emulator):
    """The gateway answers a path it does not know with status and title only."""
    for response in (
        create(emulator, "/vendors/alibaba/v1/nothing/generation", prompt="a"),
        create(emulator, "/" + IMAGE, prompt="a"),
        poll(emulator, "x", "/v1/tasks"),
    ):
        assert 404 == response.status_code
        assert {"status": 404, "title": "Not Found"} == response.json()


@pytest.mark.parametrize(
    ("headers", "title"),
    [
        ({}, "Missing Authorization header"),
        ({"x-api-key": "k"}, "Missing Authorization header"),
        ({"Authorization": "sk-mr-test"}, "Invalid Authorization header format"),
        ({"Authorization": "Bearer wrong"}, "Invalid or revoked API key"),
    ],
)
def test_a_key_is_wanted_for_creates_and_polls(emulator, headers, title):
    """401 with code 1001 and the reason."""
    remote_id = created(emulator, prompt="a")
    emulator.faults(require_key="sk-mr-test")

    for response in (
        create(emulator, prompt="a", headers=headers),
        poll(emulator, remote_id, headers=headers),
    ):
        assert 401 == response.status_code
        assert (1001, title) == (response.json()["error_code"], response.json()["title"])
    assert 200 == poll(emulator, remote_id).status_code
    assert 1 == emulator.stats()["created"]


def test_the_body_is_checked_before_the_key(emulator):
    """A wrong body without a key is 400, so a 400 says nothing about the key."""
    response = create(emulator, headers={})

    assert 400 == response.status_code
    assert {"status", "title", "detail", "instance", "error_code"} == set(response.json())
    assert 2001 == response.json()["error_code"]
    assert "'prompt' expected to be provided" in response.json()["detail"]


def test_a_body_that_is_no_json_is_refused(emulator):
    """400 with code 2001."""
    response = requests.post(emulator.url + IMAGE, data=b"prompt=a", headers=KEY, timeout=20)

    assert (400, 2001) == (response.status_code, response.json()["error_code"])


def test_an_unknown_generation_is_404_with_its_code(emulator):
    """404 with code 2005, for any id that was never given out."""
    response = poll(emulator, uuid.uuid4())

    assert (404, 2005) == (response.status_code, response.json()["error_code"])
    assert "does not exist" in response.json()["detail"]


def test_a_generation_is_known_on_its_own_path_only(emulator):
    """Polling it on the path of another model is a type mismatch."""
    response = poll(emulator, created(emulator, prompt="a"), VIDEO)

    assert (400, "Task type mismatch") == (response.status_code, response.json()["title"])


def test_other_methods_are_not_allowed(emulator):
    """A create path cannot be read, a generation cannot be posted to."""
    one = requests.get(emulator.url + IMAGE, headers=KEY, timeout=20)
    other = create(emulator, f"{IMAGE}/{created(emulator, prompt='a')}", prompt="a")

    assert (405, 405) == (one.status_code, other.status_code)


def test_a_deleted_generation_is_gone_and_an_active_one_stays(emulator):
    """Deleting works before and after the work, is refused during it, and is no cancel."""
    emulator.faults(lives=[{"contains": "active", "polls": 9}, *AT_ONCE])
    active, over = created(emulator, prompt="active"), created(emulator, prompt="over")
    for _ in range(3):
        poll(emulator, active)

    refused = requests.delete(f"{emulator.url}{IMAGE}/{active}", headers=KEY, timeout=20)
    deleted = requests.delete(f"{emulator.url}{IMAGE}/{over}", headers=KEY, timeout=20)

    assert (409, 200) == (refused.status_code, deleted.status_code)
    assert over == deleted.json()["task_id"]
    assert (200, 404) == (
        poll(emulator, active).status_code,
        poll(emulator, over).status_code,
    )


def test_creating_twice_makes_two(emulator):
    """There is no idempotency: the same body again is another generation, and counted."""
    one, other = created(emulator, prompt="a"), created(emulator, prompt="a")

    assert one != other
    assert (2, 2, 1) == tuple(
        emulator.stats()[name] for name in ("creates", "created", "duplicates")
    )


def test_pythons_own_user_agent_is_blocked_at_the_edge(emulator):
    """403 with the edge's code, which is no JSON, as the real edge answers it."""
    response = poll(emulator, "x", headers={**KEY, "User-Agent": "Python-urllib/3.12"})

    assert (403, "error code: 1010") == (response.status_code, response.text)


def test_prompts_can_be_made_to_fail(emulator):
    """The generation fails with the code, under HTTP 200; other prompts do not."""
    emulator.faults(lives=[{"contains": "bad", "end": "failed", "code": 3005, "seconds": 0}])

    bad = poll(emulator, created(emulator, prompt="a bad mule"))
    good = poll(emulator, created(emulator, prompt="a good mule"))

    assert (200, "failed") == (bad.status_code, bad.json()["task_info"]["status"])
    assert 3005 == bad.json()["task_info"]["error"]["code"]
    assert "pending" == good.json()["task_info"]["status"]


def test_a_generation_can_complete_without_assets(emulator):
    """Completed with an empty list."""
    emulator.faults(lives=[{"end": "empty", "seconds": 0}])

    answer = poll(emulator, created(emulator, prompt="a")).json()

    assert ("completed", []) == (answer["task_info"]["status"], answer["images"])


def test_a_generation_can_be_hidden_and_can_vanish(emulator):
    """404 for the first polls of one, 404 from a moment on for the other."""
    emulator.faults(lives=[{"contains": "late", "hidden_polls": 2}, {"vanish_after_seconds": 0}])
    late, gone = created(emulator, prompt="late"), created(emulator, prompt="gone")

    assert [404, 404, 200] == [poll(emulator, late).status_code for _ in range(3)]
    assert 2005 == poll(emulator, gone).json()["error_code"]


def test_a_create_can_be_answered_with_the_end(emulator):
    """The answer to the create is terminal and has the assets already."""
    emulator.faults(lives=[{"at_create": True}])

    response = create(emulator, prompt="a")

    assert (202, "completed") == (response.status_code, response.json()["task_info"]["status"])
    assert 1 == len(response.json()["images"])


def test_a_refusal_may_come_as_an_envelope(emulator):
    """A 400 that looks like a failed task; the id in it does not exist."""
    emulator.faults(post_error="envelope")

    response = create(emulator)

    info = response.json()["task_info"]
    assert (400, "failed", 2001) == (response.status_code, info["status"], info["error"]["code"])
    assert 404 == poll(emulator, info["id"]).status_code
