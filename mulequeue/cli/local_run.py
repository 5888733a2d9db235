"""``--local`` and ``status API_PATH REMOTE_ID``: generations without workers and Redis."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace

import click

from mulequeue.api import client, status_checks
from mulequeue.cli import preflight, render, results
from mulequeue.cli.options import Call
from mulequeue.cli.output import Interrupted, print_json, print_message
from mulequeue.cli.view import Progress, batch_progress, view_for
from mulequeue.cli.watch import Watched, WatchOptions, empty_batch, watch
from mulequeue.engine.eager import generate_inline
from mulequeue.engine.generation_request import GenerationRequest, make_generation_request
from mulequeue.errors import DownloadError, InputError, MuleQueueError
from mulequeue.outcome import Outcome
from mulequeue.settings import Settings
from mulequeue.transfer.download_assets import download_assets

_CONCURRENCY = 16


def _prepare(
    call: Call, settings: Settings, max_wait: float | None = None
) -> tuple[Settings, list[GenerationRequest]]:
    """Check the inputs, print warnings, and return settings that allow reading typed files."""
    settings = replace(settings, input_roots=(*settings.input_roots, *call.folders))
    warnings = preflight.check_inputs(call.inputs, settings, call.model, validate=call.validate)
    requests = [
        make_generation_request(
            settings,
            call.model.name,
            item,
            validate="off",
            poll_interval=call.poll_interval,
            max_wait=max_wait,
        )
        for item in call.inputs
    ]
    preflight.print_warnings(warnings)
    return settings, requests


def _store(outcome: Outcome, settings: Settings, storage: str) -> tuple[Outcome, str | None]:
    """Download the assets; return the outcome with its files, and why there are none."""
    if not outcome.succeeded:
        return outcome, None
    try:
        files = download_assets(outcome, settings=settings, storage=storage)
    except DownloadError as exc:
        return outcome, f"not stored: {exc}"
    return replace(outcome, files=files), None


# One generation


def run_locally(call: Call, settings: Settings, *, no_wait: bool) -> int:
    """Submit one generation in this process and wait for it, unless ``no_wait``; return the exit code."""
    settings, [request] = _prepare(call, settings, call.max_wait)
    remote_id = _submit(request, settings)
    if no_wait:
        return results.print_submitted(
            request.model.api_path, remote_id, None, as_json=call.as_json
        )
    if not call.quiet:
        print_message(f"generating as {remote_id}")
    outcome = _wait(request, settings, remote_id)
    outcome, problem = _store(outcome, settings, call.storage)
    if problem:
        print_message(problem)
    return _report(outcome, as_json=call.as_json) or (
        results.FAILED if problem else results.SUCCEEDED
    )


def _submit(request: GenerationRequest, settings: Settings) -> str:
    """Send one create request, once; return the remote id.

    :raises MuleQueueError: nothing was created, or it is not known.
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
            f"billed, so the request is not repeated: {answer.reason}"
        )
    if isinstance(answer, client.NotSent):
        raise MuleQueueError(f"Nothing was sent to {request.profile.base_url}: {answer.reason}")
    raise MuleQueueError(
        f"The API rejected the request; nothing was created: {render.describe_error(answer.error)}"
    )


def _wait(request: GenerationRequest, settings: Settings, remote_id: str) -> Outcome:
    path = request.model.api_path
    try:
        outcome = generate_inline(request, settings, task_id=remote_id, remote_id=remote_id)
    except KeyboardInterrupt:
        raise Interrupted(
            "Stopped watching; the generation continues at the API. Watch it:\n"
            f"  {results.status_command_for(f'{path} {remote_id}')}"
        ) from None
    return replace(outcome, api_path=path, remote_id=remote_id)


def _report(outcome: Outcome, *, as_json: bool) -> int:
    code = results.print_outcome(outcome, as_json=as_json)
    if outcome.status == "timed_out":
        again = results.status_command_for(f"{outcome.api_path} {outcome.remote_id}")
        print_message(f"Still running. Watch it:\n  {again}")
        return results.STILL_RUNNING
    return code


# A generation at the API


def show_remote(
    settings: Settings,
    path: str,
    remote_id: str,
    options: WatchOptions,
    poll_interval: float | None,
) -> int:
    """Show a generation that the API knows, or wait for it; return the exit code."""
    request = make_generation_request(
        settings, path, {}, poll_interval=poll_interval, max_wait=options.max_wait, submits=False
    )
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
    return results.FAILED if found.state == "failed" else results.SUCCEEDED


# A batch


def run_batch_locally(call: Call, settings: Settings) -> int:
    """Run a batch in threads of this process; return the exit code."""
    settings, requests = _prepare(call, settings)
    started = time.monotonic()
    with view_for(f"{call.model.name} · in this process", quiet=call.quiet) as view:
        with LocalBatch(requests, settings, call.storage) as batch:
            watch(batch, view, max_wait=call.max_wait, interrupted="Stopped; no more were sent.")
        is_over = watch(batch, view, max_wait=0)
    summary = results.summary_of(batch.batch, time.monotonic() - started)
    code = results.print_summary(summary, call.storage, as_json=call.as_json, missing=batch.missing)
    if not is_over:
        print_message("Stopped at --max-wait; no more were sent.")
    return code if is_over else results.STILL_RUNNING


class LocalBatch(Watched):
    """Generations in threads. Leaving the context finishes those that are billed, and no others."""

    def __init__(self, requests: list[GenerationRequest], settings: Settings, storage: str) -> None:
        self._settings, self._storage = settings, storage
        self.batch = empty_batch("", len(requests))
        self.missing = 0
        """Files that could not be stored."""
        self._counts: Counter[str] = Counter()
        self._endings: list[render.Ending] = []
        limit = requests[0].profile.max_in_flight or _CONCURRENCY
        self._pool = ThreadPoolExecutor(min(_CONCURRENCY, limit))
        self._open = {
            self._pool.submit(self._run, number, request) for number, request in enumerate(requests)
        }

    def __enter__(self) -> LocalBatch:
        return self

    def __exit__(self, *exc: object) -> None:
        self._open = {future for future in self._open if not future.cancel()}
        if self._open:
            print_message(f"Finishing {len(self._open)} that were submitted …")
        wait(self._open)
        self._pool.shutdown()

    def refresh(self) -> bool:
        ended = {future for future in self._open if future.done()}
        self._open -= ended
        for future in ended:
            self._count(*future.result())
        running = sum(future.running() for future in self._open)
        self.batch = replace(self.batch, counts={**self._counts, "generating": running})
        return self.batch.over >= self.batch.size

    def progress(self) -> Progress:
        return batch_progress(self.batch)

    def new_endings(self) -> list[render.Ending]:
        endings, self._endings = self._endings, []
        return endings

    def _run(self, number: int, request: GenerationRequest) -> tuple[render.Ending, Outcome]:
        outcome = generate_inline(request, self._settings, task_id=uuid.uuid4().hex)
        outcome, problem = _store(outcome, self._settings, self._storage)
        reason = problem or render.describe_error(outcome.error)
        name, status = f"{number:06d}", str(outcome.status)
        return render.Ending(name=name, status=status, reason=reason, label=request.label), outcome

    def _count(self, ending: render.Ending, outcome: Outcome) -> None:
        missing = len(outcome.assets) - len(outcome.files)
        if missing or not outcome.succeeded:
            self._endings.append(ending)
        self.missing += missing
        self._counts[outcome.status] += 1
        self.batch = replace(
            self.batch,
            files=self.batch.files + len(outcome.files),
            downloaded=self.batch.downloaded + outcome.succeeded,
        )
