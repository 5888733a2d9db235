"""What the tests of the emulator say to it, as any client would: over HTTP."""

from __future__ import annotations

import requests

IMAGE = "/vendors/alibaba/v1/wan2.6-t2i/generation"
VIDEO = "/vendors/dummy/v1/videos/generation"
SPEECH = "/vendors/minimax/v1/speech-2.8-turbo/text-to-speech/generation"
AT_ONCE = [{"seconds": 0}]
KEY = {"Authorization": "Bearer sk-mr-test"}


def create(emulator, path=IMAGE, *, headers=KEY, **body):
    return requests.post(emulator.url + path, json=body, headers=headers, timeout=20)


def created(emulator, path=IMAGE, **body):
    """The remote id of an accepted create."""
    response = create(emulator, path, **body)
    assert 202 == response.status_code
    return response.json()["task_info"]["id"]


def poll(emulator, remote_id, path=IMAGE, headers=KEY):
    return requests.get(f"{emulator.url}{path}/{remote_id}", headers=headers, timeout=20)


def finished(emulator, path=IMAGE, **body):
    """The answer to the poll of a generation that ended at once."""
    emulator.faults(lives=AT_ONCE)
    return poll(emulator, created(emulator, path, **body), path).json()


def asset(emulator, **body):
    """The URL of a finished picture."""
    return finished(emulator, prompt="a mule", **body)["images"][0]
