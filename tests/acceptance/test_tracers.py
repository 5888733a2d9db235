"""Libraries that trace tasks rewrite the headers of every message."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from support.deaths import assert_paid_once, generate, note, notes, stored
from support.fleet import Fleet
from support.waiting import wait_until

MIDDLEWARE = """
from celery import signals
from celery.app.task import Task

CELERY = {
    "lang", "task", "id", "shadow", "eta", "expires", "group", "group_index", "retries", "timelimit",
    "root_id", "parent_id", "argsrepr", "kwargsrepr", "origin", "ignore_result",
    "replaced_task_nesting", "stamped_headers", "stamps", "headers",
}
TRACE = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}

def nest(headers, own):
    headers["headers"] = {**own, **TRACE}

def rename(headers, own):
    headers.update({f"x-app-{name}": value for name, value in own.items()})

def drop(headers, own):
    headers.update(TRACE)

@signals.before_task_publish.connect(weak=False)
def rewrite(headers=None, **_):
    own = {name: headers.pop(name) for name in list(headers) if name not in CELERY}
    HOW(headers, own)

# A tracer that wraps the call replaces the headers of its caller.
send = Task.apply_async

def apply_async(self, *args, **options):
    options["headers"] = {"headers": TRACE, **TRACE}
    return send(self, *args, **options)

Task.apply_async = apply_async
"""


@pytest.mark.parametrize("how", ["nest", "rename", "drop"])
def test_no_header_is_needed(make_fleet: Callable[..., Fleet], how: str) -> None:
    """With a tracer that nests, renames or drops headers, a generation is billed once and goes on."""
    fleet = make_fleet(celeryconfig=MIDDLEWARE.replace("HOW", how))
    fleet.worker()
    video = fleet.task("mulequeue.generate_from", "alibaba/wan2.6-i2v", {"prompt": "it walks"})
    steps = generate(fleet, "a mule") | video | fleet.task("mulequeue.download")

    outcome = (steps | note(fleet, "after")).delay().get(timeout=60)

    assert "succeeded" == outcome["status"]
    assert_paid_once(fleet, 2)
    assert (1, 1) == (len(stored(fleet)), notes(fleet, "after"))


OPENTELEMETRY = """
from celery.signals import worker_process_init
from opentelemetry import trace
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

class FileExporter(SpanExporter):
    def export(self, spans):
        with open("spans.jsonl", "a") as file:
            file.writelines(span.to_json(indent=None) + "\\n" for span in spans)
        return SpanExportResult.SUCCESS

@worker_process_init.connect(weak=False)
def instrument(**_):
    trace.set_tracer_provider(TracerProvider())
    trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(FileExporter()))
    CeleryInstrumentor().instrument()
"""


def test_processes_of_two_workers_continue_one_trace(make_fleet: Callable[..., Fleet]) -> None:
    """Each request has its trace, also if its poller is elsewhere and serves other requests."""
    pytest.importorskip("opentelemetry.instrumentation.celery")
    fleet = make_fleet(celeryconfig=OPENTELEMETRY)
    fleet.worker("-Q", "celery")
    fleet.worker("-Q", "mulequeue.poll,mulequeue.wake")
    spans = fleet.folder / "spans.jsonl"

    traces = [f"{number:032x}" for number in range(1, 4)]
    for trace in traces:
        steps = generate(fleet, "a mule") | fleet.task("mulequeue.download")
        steps.tasks[0].set(headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
        steps.delay()

    def names() -> dict[str, list[str]]:
        found: dict[str, list[str]] = {trace: [] for trace in traces}
        for line in spans.read_text().splitlines() if spans.exists() else ():
            span = json.loads(line)
            found.setdefault(span["context"]["trace_id"].removeprefix("0x"), []).append(
                span["name"]
            )
        return {trace: sorted(found[trace]) for trace in traces}

    expected = sorted(
        [
            "run/mulequeue.generate",
            "apply_async/mulequeue.generate",
            "run/mulequeue.generate",
            "generation alibaba/wan2.6-t2i",
            "apply_async/mulequeue.download",
            "run/mulequeue.download",
        ]
    )
    wait_until(
        lambda: all(map(len, names().values())) and names() == dict.fromkeys(traces, expected)
    )
