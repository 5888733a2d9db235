"""``--local`` and ``status API_PATH REMOTE_ID``: generations without workers and Redis."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import partial

import click

from mulequeue.api import client, status_checks
from mulequeue.cli import preflight, render, results
from mulequeue.cli.costs import cost_of_records
from mulequeue.cli.exits import FAILED, STILL_RUNNING, SUCCEEDED, Interrupted
from mulequeue.cli.manifest import Manifest, written_at_end
from mulequeue.cli.output import print_json, print_message
from mulequeue.cli.preflight import Call
from mulequeue.cli.view import Progress, batch_progress
from mulequeue.cli.watch import Watched, WatchOptions, watch
from mulequeue.engine.eager import generate_inline
from mulequeue.engine.followups.download import download_inline, store_in
from mulequeue.engine.generation_call import CallOptions, GenerationCall
from mulequeue.engine.generation_request import GenerationRequest, request_of
from mulequeue.errors import DownloadError, InputError, MuleQueueError
from mulequeue.ledger import Batch, Record, outcome_of
from mulequeue.settings import Settings
from mulequeue.tasks.batch_ids import member_id
from mulequeue.transfer.path_template import member_templates

_CONCURRENCY = 16


def _requests(call: Call, max_wait: float | None = None) -> list[GenerationRequest]:
    """Return one request per input of a call, and print the notes of the call."""
    options = CallOptions(
        validate="off", poll_interval=call.poll_interval, max_wait=max_wait, metadata=call.metadata
    )
    requests = [
        request_of(
            GenerationCall(model=call.model.name, make_input=partial(dict, item), options=options),
            call.settings,
        )
        for item in call.inputs
    ]
    preflight.print_notes(call.notes)
    return requests


def _store(record: Record, call: Call, path: str | None = None) -> Record:
    """Download the assets of a success; return the record with ``files``, or with ``file_error``."""
    outcome = outcome_of(record)
    if not outcome.succeeded:
        return record
    try:
        files = download_inline(outcome, call.settings, store_in(call.storage, path))
    except DownloadError as exc:
        return replace(record, file_error=str(exc))
    return replace(record, files=files)


# One generation


def run_locally(call: Call, *, no_wait: bool) -> int:
    """Submit one generation in this process and wait for it, unless ``no_wait``; return the exit code."""
    [request] = _requests(call, call.max_wait)
    remote_id = _submit(request, call.settings)
    if no_wait:
        path = request.model.api_path
        return results.print_submitted(path, remote_id=remote_id, as_json=call.as_json)
    if not call.quiet:
        print_message(f"generating as {remote_id}")
    record = _store(_wait(request, call.settings, remote_id), call)
    return _report(record, as_json=call.as_json)


def _submit(request: GenerationRequest, settings: Settings) -> str:
    """Send one create request, once; return the remote id.

    :raises MuleQueueError: no generation was created, or it is unknown whether one was.
    """
    answer = client.submit_once(
        request.profile,
        request.model.api_path,
        request.body(settings),
        settings=settings,
        kind=request.model.kind,
    )
    if isinstance(answer, client.Accepted):
        assert answer.reply.remote_id is not None
        return answer.reply.remote_id
    if isinstance(answer, client.Unknown):
        raise MuleQueueError(
            "The create request was sent but its response was lost. A generation may exist and may be "
            f"billed, so the request is not repeated: {answer.reason}. If you learn its id (MuleRouter's "
            "support, a webhook), run mulequeue adopt."
        )
    if isinstance(answer, client.NotSent):
        raise MuleQueueError(f"Nothing was sent to {request.profile.base_url}: {answer.reason}")
    raise MuleQueueError(
        f"The API rejected the request; nothing was created: {render.describe_error(answer.error)}"
    )


def _wait(request: GenerationRequest, settings: Settings, remote_id: str) -> Record:
    try:
        return generate_inline(request, settings, task_id=remote_id, remote_id=remote_id)
    except KeyboardInterrupt:
        again = results.watch_hint(f"{request.model.api_path} {remote_id}")
        raise Interrupted(
            f"Stopped watching; the generation continues at the API. {again}"
        ) from None


def _report(record: Record, *, as_json: bool) -> int:
    if record.file_error:
        print_message(render.reason_of(record))
    code = results.print_outcome(outcome_of(record), as_json=as_json)
    if record.status == "timed_out":
        again = results.watch_hint(f"{record.api_path} {record.remote_id}")
        print_message(f"Still running. {again}")
        return STILL_RUNNING
    return FAILED if record.file_error else code


# A generation at the API


def show_remote(settings: Settings, path: str, remote_id: str, options: WatchOptions) -> int:
    """Show a generation at the API, or with ``--wait`` wait for its end; return the exit code."""
    call = CallOptions(poll_interval=options.poll_interval, max_wait=options.max_wait)
    request = request_of(GenerationCall(model=path, options=call, remote_id=remote_id), settings)
    if options.is_waiting:
        return _report(_wait(request, settings, remote_id), as_json=options.as_json)
    return _snapshot(request, settings, remote_id, as_json=options.as_json)


def _snapshot(
    request: GenerationRequest, settings: Settings, remote_id: str, *, as_json: bool
) -> int:
    path = request.model.api_path
    found = status_checks.fetch_once(
        request.profile, path, remote_id, settings=settings, kind=request.model.kind
    )
    if isinstance(found, client.NotFound):
        raise InputError(
            f"{request.profile.base_url} has no generation {remote_id} at {path}. A generation is "
            f"found only at the path where it was created: {render.describe_error(found.error)}"
        )
    if isinstance(found, client.Transient):
        raise MuleQueueError(f"{request.profile.base_url} does not answer: {found.reason}")
    error = None if found.error is None else render.describe_error(found.error)
    if as_json:
        print_json(
            {
                "remote_id": remote_id,
                "api_path": path,
                "status": found.state,
                "api_status": found.status,
                "urls": list(found.urls),
                "error": error,
            }
        )
    else:
        for text in (found.status or found.state, *found.urls, error):
            if text is not None:
                click.echo(text)
    return FAILED if found.state == "failed" else SUCCEEDED


# A batch


def run_batch_locally(call: Call, manifest: Manifest | None = None) -> int:
    """Run a batch in threads of this process; return the exit code."""
    requests = _requests(call)
    started = time.monotonic()
    watched = LocalBatch(call, requests)
    title, stopped = f"{call.model.name} · in this process", "Stopped; no more were sent."
    with written_at_end(manifest, lambda: watched.records), closing(watched):
        is_over = watch(watched, title, call, interrupted=stopped)
    if not is_over:  # close() has waited for the submitted generations: show their end
        age, last = time.monotonic() - started, replace(call, max_wait=0)
        is_over = watch(watched, title, last, interrupted=stopped, age=age)
    code = results.print_summary(
        watched.batch,
        time.monotonic() - started,
        call.storage,
        cost_of_records(watched.records),
        as_json=call.as_json,
        missing=results.missing_files(watched.records),
    )
    if not is_over:
        print_message("Stopped at --max-wait; no more were sent.")
    return code if is_over else STILL_RUNNING


class LocalBatch(Watched):
    """Generations in threads of this process."""

    def __init__(self, call: Call, requests: list[GenerationRequest]) -> None:
        self._call, self._name = call, uuid.uuid4().hex
        self.batch = Batch(batch_id="", size=len(requests))
        self.records = [Record(task_id="", state="not_sent") for _ in requests]
        """The latest record of each request, in the order of the inputs."""
        self._endings: list[Record] = []
        self._paths = member_templates(call.paths, len(requests))
        limit = requests[0].profile.max_in_flight or _CONCURRENCY
        self._pool = ThreadPoolExecutor(min(_CONCURRENCY, limit))
        self._futures = [
            self._pool.submit(self._run, number, request) for number, request in enumerate(requests)
        ]

    def close(self) -> None:
        """Wait for the generations that were submitted, and start no others."""
        running = sum(future.running() for future in self._futures)
        if running:
            print_message(f"Finishing {running} that were submitted …")
        self._pool.shutdown(cancel_futures=True)

    def refresh(self) -> bool:
        for future in self._futures:
            if future.done() and not future.cancelled():
                future.result()  # raises the exception of its thread
        counts = Counter(record.status for record in self.records if record.status)
        counts["generating"] = sum(future.running() for future in self._futures)
        files = sum(len(record.files) for record in self.records)
        self.batch = replace(self.batch, counts=counts, files=files, downloaded=counts["succeeded"])
        return self.batch.over >= self.batch.size

    def progress(self) -> Progress:
        return batch_progress(self.batch)

    def new_endings(self) -> list[Record]:
        return [self._endings.pop(0) for _ in range(len(self._endings))]

    def _run(self, number: int, request: GenerationRequest) -> None:
        task_id = member_id(self._name, number)
        record = generate_inline(request, self._call.settings, task_id=task_id)
        record = _store(record, self._call, self._paths[number] if self._paths else None)
        record = replace(record, batch=self._name)
        if record.file_error or record.status != "succeeded":
            self._endings.append(record)
        self.records[number] = record
