"""The spans of a process that sends and works, by OpenTelemetry's own instrumentation of Celery."""

from __future__ import annotations

import logging
import os
import sys

import pytest
import requests
from celery import Celery, chord, group
from opentelemetry import trace
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.waiting import wait_until
from support.webhook import WEBHOOK_SECRET, event, signed

from mulequeue import download, generate, generate_from, generate_many, notify
from mulequeue.engine import webhook_handler
from mulequeue.engine.worker_context import worker_context

MODEL = "alibaba/wan2.6-t2i"
NEVER = 3000.0
IS_LINKED = "USE_SPAN_LINKS" in os.environ
memory = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(memory))
trace.set_tracer_provider(provider)
CeleryInstrumentor().instrument(use_span_links=IS_LINKED)
tracer = trace.get_tracer("shop")
app = Celery("shop")
app.conf.update(mulequeue_webhook_secret=WEBHOOK_SECRET)


@pytest.fixture(autouse=True)
def _no_spans():
    memory.clear()


def picture(prompt="a mule", **options):
    return generate.s(MODEL, {"prompt": prompt}, **options)


def request(canvas):
    """Send it inside of a web request; the result, and the id of the request's trace."""
    with tracer.start_as_current_span("POST /pictures") as span:
        return canvas.delay(), span.get_span_context().trace_id


def named(name):
    return [span for span in memory.get_finished_spans() if span.name == name]


def ended(name, number=1):
    """Wait until as many spans of that name have ended; return them."""
    what = f"{number} spans {name}"
    return wait_until(lambda: (s := named(name)) and len(s) >= number and s, seconds=20, what=what)


def traces():
    """The traces without those of the sweeps."""
    return {
        span.context.trace_id
        for span in memory.get_finished_spans()
        if not span.name.endswith("/mulequeue.poll")
    }


def parent_of(span):
    known = {item.context.span_id: item.name for item in memory.get_finished_spans()}
    return span.parent and known[span.parent.span_id]


class Lines(logging.Handler):
    """The messages of log lines, and the traces that they belong to."""

    def __init__(self):
        super().__init__()
        self.traces = {}

    def emit(self, record):
        self.traces[record.msg] = trace.get_current_span().get_span_context().trace_id


one_trace = pytest.mark.skipif(IS_LINKED, reason="links instead of parents")


@one_trace
def test_a_chain_is_one_trace(mulequeue_worker):
    """Request, both deliveries, the generation and the download: no span is without its parent."""
    result, trace_id = request(picture() | download.s())

    files = mulequeue_worker.run_until_settled(result).files

    [stored] = ended("run/mulequeue.download")
    [generation] = named(f"generation {MODEL}")
    assert files
    assert {trace_id} == traces()
    assert ["run/mulequeue.generate"] * 2 == [s.name for s in named("run/mulequeue.generate")]
    assert "run/mulequeue.generate" == parent_of(generation)
    assert "apply_async/mulequeue.download" == parent_of(stored)
    assert "POST /pictures" == parent_of(named("apply_async/mulequeue.generate")[0])


@one_trace
def test_the_span_of_a_generation_covers_the_wait(mulequeue_worker, mulequeue_emulator):
    """From its acceptance to its outcome, with what the ledger knows of it."""
    mulequeue_emulator.script("a mule", refused=429, times=1)
    result, _ = request(picture())

    outcome = mulequeue_worker.run_until_settled(result)

    [span] = ended(f"generation {MODEL}")
    record = worker_context(app).ledger.queries.record(outcome.task_id)
    told = {key.removeprefix("mulequeue."): value for key, value in span.attributes.items()}
    assert (int(record.started * 1e9), int(record.finished * 1e9)) == (
        span.start_time,
        span.end_time,
    )
    assert ("succeeded", 2, outcome.polls) == (told["status"], told["attempts"], told["polls"])
    assert (outcome.task_id, outcome.remote_id) == (told["task_id"], told["remote_id"])
    assert told["api_traceparent"] == record.api_trace
    assert told["api_traceparent"].startswith("00-")


@one_trace
def test_a_failed_generation_is_an_error_of_its_span_only(mulequeue_worker, mulequeue_emulator):
    """The deliveries do what they are meant to: to park and to return."""
    mulequeue_emulator.script("bad", fails=3005)
    result, _ = request(picture("bad", on_failure="return"))

    mulequeue_worker.run_until_settled(result)

    [span] = ended(f"generation {MODEL}")
    runs = ended("run/mulequeue.generate", 2)
    assert "failed" == span.attributes["mulequeue.status"]
    assert trace.StatusCode.ERROR is span.status.status_code
    assert {trace.StatusCode.UNSET} == {run.status.status_code for run in runs}


@one_trace
def test_a_webhook_wakes_in_the_trace_of_the_request(
    mulequeue_worker, mulequeue_emulator, monkeypatch
):
    """The webhook's own request has another trace, and so have the sweeps."""
    monkeypatch.setattr(sys.modules["mulequeue.testing.fast_timeouts"], "WAIT_SECONDS", NEVER)
    mulequeue_emulator.script("slow", never=True)
    result, trace_id = request(picture("slow", poll_interval=NEVER) | download.s())
    queries = worker_context(app).ledger.queries
    task_id = result.parent.id
    record = wait_until(
        lambda: (r := queries.record(task_id)) and r.state == "generating" and r, what="its id"
    )
    requests.post(
        f"{record.base_url}/_emulator/finish", json={"remote_id": record.remote_id}, timeout=20
    ).raise_for_status()
    answer = requests.get(
        f"{record.base_url}{record.api_path}/{record.remote_id}",
        headers={"Authorization": f"Bearer {os.environ['MULEROUTER_API_KEY']}"},
        timeout=20,
    ).json()
    body = event(answer)

    with tracer.start_as_current_span("POST /webhook") as webhook:
        assert 200 == webhook_handler.handle(signed(body), body, app=app).status_code

    assert mulequeue_worker.run_until_settled(result).files
    ended("run/mulequeue.download")
    assert {trace_id, webhook.get_span_context().trace_id} == traces()
    assert 0 == queries.record(task_id).polls
    assert "run/mulequeue.generate" == parent_of(named(f"generation {MODEL}")[0])


@one_trace
def test_a_chord_of_chains_is_one_trace(mulequeue_worker, mulequeue_notifications):
    """Also its body, which the last member publishes."""
    video = generate_from.s("alibaba/wan2.6-i2v", {"prompt": "it walks"}, on_failure="return")
    header = [picture(prompt) | video | download.s() for prompt in ("one", "two")]

    result, trace_id = request(chord(header, notify.s(mulequeue_notifications.url)))

    mulequeue_worker.run_until_settled(result)
    ended("run/mulequeue.notify")
    assert 2 == len(ended("run/mulequeue.download", 2))
    assert 2 == len(named(f"generation {MODEL}"))
    assert {trace_id} == traces()


@one_trace
def test_a_batch_is_one_trace(mulequeue_worker):
    """Its members are sent by the task, and the task is woken after the last one."""
    batch = generate_many(MODEL, [{"prompt": str(number)} for number in range(3)])
    result, trace_id = request(batch)

    mulequeue_worker.run_until_settled(result)

    ended("run/mulequeue.generate_many", 2)
    assert 6 == len(ended("run/mulequeue.generate", 6))
    assert 3 == len(named(f"generation {MODEL}"))
    assert {trace_id} == traces()


@one_trace
def test_headers_that_a_library_nests_are_continued(mulequeue_worker):
    """Sentry and Datadog write a second dictionary of headers, which Celery then reads."""
    with tracer.start_as_current_span("POST /pictures") as span:
        result = picture().apply_async(headers={"headers": {"x-shop": "1"}})

    mulequeue_worker.run_until_settled(result)

    ended("run/mulequeue.generate", 2)
    assert {span.get_span_context().trace_id} == traces()


@one_trace
def test_log_lines_of_a_generation_are_in_its_trace(mulequeue_worker):
    """Also those of the event loop and of a sweep, which many generations share."""
    lines, logger = Lines(), logging.getLogger("mulequeue")
    logger.addHandler(lines)
    logger.setLevel(logging.INFO)
    result, trace_id = request(picture())

    mulequeue_worker.run_until_settled(result)

    logger.removeHandler(lines)
    names = ("generation submitted: %s", "generation finished")
    assert [trace_id] * 2 == [lines.traces[name] for name in names]


@one_trace
def test_status_checks_have_no_spans(mulequeue_worker, mulequeue_emulator):
    """A sweep has one, in a trace of its own, whatever it checks."""
    mulequeue_emulator.script("slow", seconds=0.5)
    header = [picture("slow", poll_interval=0.1) for _ in range(5)]
    _, trace_id = request(group(header))

    ended(f"generation {MODEL}", 5)

    sweeps = named("run/mulequeue.poll")
    assert trace_id not in {span.context.trace_id for span in sweeps}
    assert len(sweeps) < sum(
        span.attributes["mulequeue.polls"] for span in named(f"generation {MODEL}")
    )


@pytest.mark.skipif(not IS_LINKED, reason="parents instead of links")
def test_a_generation_is_linked_where_deliveries_are_linked(mulequeue_worker):
    """Its span is in the trace of the delivery that returns it, and links to the one that submitted."""
    result, trace_id = request(picture())

    mulequeue_worker.run_until_settled(result)

    first, second = ended("run/mulequeue.generate", 2)
    [span] = named(f"generation {MODEL}")
    wake = named("apply_async/mulequeue.generate")[1]
    assert [first.context.span_id] == [link.context.span_id for link in span.links]
    assert span.context.trace_id == second.context.trace_id
    assert [wake.context.span_id] == [link.context.span_id for link in second.links]
    assert wake.parent.span_id == first.context.span_id
    assert trace_id not in (first.context.trace_id, second.context.trace_id)
