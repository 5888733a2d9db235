"""What Sentry's real SDK, with its integration of Celery, would send of a process that works."""

from __future__ import annotations

import pytest
import sentry_sdk
from sentry_sdk.transport import Transport
from support.waiting import wait_until

envelopes = []


class LocalTransport(Transport):
    """Keeps what would be sent."""

    def capture_envelope(self, envelope):
        envelopes.append(envelope)


sentry_sdk.init(dsn="http://key@127.0.0.1/1", transport=LocalTransport, traces_sample_rate=1.0)

from celery import Celery, shared_task  # noqa: E402  # Sentry first: it wraps Celery's functions

from mulequeue import download, generate  # noqa: E402
from mulequeue.errors import GenerationFailed  # noqa: E402

MODEL = "alibaba/wan2.6-t2i"
app = Celery("shop")


@shared_task
def ship(outcome):
    raise GenerationFailed(outcome)


@pytest.fixture(autouse=True)
def _nothing_sent():
    envelopes.clear()


def sent(kind):
    """The events of that kind."""
    items = [item for envelope in envelopes for item in envelope.items]
    return [item.payload.json for item in items if item.type == kind]


def request(canvas):
    """Send it inside of a web request; the result, and the id of the request's trace."""
    with sentry_sdk.start_transaction(name="POST /pictures") as transaction:
        return canvas.delay(), transaction.trace_id


def runs(name):
    """The traces and the states of the deliveries of a task."""
    found = [event for event in sent("transaction") if event["transaction"] == name]
    return [(event["contexts"]["trace"]["trace_id"], states(event)) for event in found]


def states(event):
    spans = [span for span in event["spans"] if span["op"] == "queue.process"]
    return {event["contexts"]["trace"]["status"], *(span.get("status") or "ok" for span in spans)}


def picture(prompt="a mule", **options):
    return generate.s(MODEL, {"prompt": prompt, "n": 1}, **options)


def test_each_chain_is_one_trace(mulequeue_worker):
    """Also the second one in a process whose threads belong to the trace of the first."""
    for _ in range(2):
        envelopes.clear()
        result, trace_id = request(picture() | download.s())

        mulequeue_worker.run_until_settled(result)
        wait_until(lambda: runs("mulequeue.download"), what="the download")

        deliveries = [*runs("mulequeue.generate"), *runs("mulequeue.download")]
        assert [(trace_id, {"ok"})] * 3 == deliveries


def test_sweeps_are_in_no_trace_of_a_generation(mulequeue_worker):
    """One sweep checks the generations of many requests."""
    result, trace_id = request(picture())

    mulequeue_worker.run_until_settled(result)

    wait_until(lambda: runs("mulequeue.poll"), what="a sweep")
    assert trace_id not in dict(runs("mulequeue.poll"))


def test_parking_and_expected_failures_are_no_errors(mulequeue_worker, mulequeue_emulator):
    """No event is sent for a task that parks, nor for a generation that fails."""
    mulequeue_emulator.script("bad", fails=3005)
    result, trace_id = request(picture("bad"))

    assert "failed" == mulequeue_worker.run_until_settled(result).status

    wait_until(lambda: len(runs("mulequeue.generate")) == 2, what="both deliveries")
    assert [] == sent("event")
    assert (trace_id, {"ok"}) == runs("mulequeue.generate")[0]


def test_the_same_error_is_one_issue(mulequeue_worker, mulequeue_emulator):
    """Its text has the ids of its generation; the fingerprint has its class and its code."""
    mulequeue_emulator.script("bad", fails=3005)
    for _ in range(2):
        result, _ = request(picture("bad", on_failure="return") | ship.s())
        mulequeue_worker.run_until_settled(result)

    events = wait_until(lambda: (found := sent("event")) and len(found) == 2 and found, what="both")

    assert [["mulequeue", "GenerationFailed", "3005"]] * 2 == [
        item["fingerprint"] for item in events
    ]
    assert 2 == len({item["exception"]["values"][-1]["value"] for item in events})
