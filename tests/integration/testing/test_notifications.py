"""The recorder of notifications."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import requests
from standardwebhooks import Webhook

from mulequeue.testing import Notifications
from mulequeue.transfer.notifications import new_secret

SECRET = new_secret()
BODY = '{"type": "generation.succeeded", "data": {"task_id": "t"}}'


@pytest.fixture
def recorder():
    """One that is closed in the end."""
    recorder = Notifications(SECRET)
    yield recorder
    recorder.close()


def send(recorder, *, secret=SECRET, body=BODY):
    now = datetime.now(UTC)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", now, BODY),
    }
    return requests.post(recorder.url, data=body, headers=headers, timeout=10).status_code


def test_a_signed_notification_is_kept(recorder):
    """Its id, its type and its data."""
    assert 204 == send(recorder)

    (told,) = recorder.wait()
    assert ("msg_1", "generation.succeeded") == (told.id, told.type)
    assert {"task_id": "t"} == told.data


@pytest.mark.parametrize("wrong", [{"secret": new_secret()}, {"body": BODY + " "}])
def test_a_forged_one_is_turned_away(recorder, wrong):
    """Another secret or another body: 401, and it is remembered as such."""
    assert 401 == send(recorder, **wrong)

    assert [] == recorder.received
    assert 1 == len(recorder.forged)


def test_the_next_ones_can_be_refused(recorder):
    """As often as asked for; they are neither kept nor called forged."""
    recorder.refuse(503, times=2)

    assert [503, 503, 204] == [send(recorder) for _ in range(3)]
    assert ([], 1) == (recorder.forged, len(recorder.received))


def test_waiting_in_vain_says_what_came(recorder):
    """How many of how many, and of what kind."""
    send(recorder)

    with pytest.raises(TimeoutError, match=r"1 of 2 notifications arrived .*generation\.succeeded"):
        recorder.wait(2, timeout_seconds=0.05)
