"""``mulequeue run --local`` and ``status API_PATH REMOTE_ID``: one generation, without Redis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from mulequeue.api import client, status_checks
from mulequeue.cli.batch_view import echo_json
from mulequeue.cli.error_line import Interrupted
from mulequeue.cli.local_batch import settings_for, stored
from mulequeue.cli.outcome_output import print_outcome, print_submitted, status_line
from mulequeue.cli.preflight import check_inputs, print_warnings
from mulequeue.engine.eager import generate_inline
from mulequeue.engine.generation_request import GenerationRequest, make_generation_request
from mulequeue.errors import InputError, MuleQueueError
from mulequeue.outcome import ErrorInfo, Outcome
from mulequeue.settings import Settings

if TYPE_CHECKING:
    from mulequeue.cli.run import Call


def run_here(call: Call, settings: Settings, folders: tuple[str, ...], *, no_wait: bool) -> int:
    """Submit in this process and wait (or not); the exit code."""
    settings = settings_for(settings, folders)
    check_inputs([call.input], settings, call.model, warnings=call.warnings, validate=call.validate)
    plan = make_generation_request(
        settings,
        call.model.name,
        call.input,
        validate="off",
        poll_interval=call.poll_interval,
        max_wait=call.max_wait,
    )
    print_warnings(call.warnings)
    remote_id = _submit(plan, settings)
    path = plan.model.api_path
    if no_wait:
        print_submitted(path, remote_id, None, as_json=call.as_json)
        return 0
    if not call.quiet:
        click.echo(f"generating as {remote_id}", err=True)
    outcome = _interruptible(plan, settings, remote_id)
    outcome, problem = stored(outcome, settings, call.storage)
    if problem:
        click.echo(problem, err=True)
    return print_end(outcome, as_json=call.as_json) or int(problem is not None)


def wait_for(plan: GenerationRequest, settings: Settings, remote_id: str, *, as_json: bool) -> int:
    """Wait for a generation that exists; the exit code."""
    return print_end(_interruptible(plan, settings, remote_id), as_json=as_json)


def print_end(outcome: Outcome, *, as_json: bool) -> int:
    """Say what came of it; the exit code."""
    print_outcome(outcome, as_json=as_json)
    if outcome.status == "timed_out":
        again = status_line(f"{outcome.api_path} {outcome.remote_id}")
        click.echo(f"Still running. Look again: {again}", err=True)
        return 2
    return 0 if outcome.succeeded else 1


def _interruptible(plan: GenerationRequest, settings: Settings, remote_id: str) -> Outcome:
    path = plan.model.api_path
    try:
        outcome = generate_inline(plan, settings, task_id=remote_id, remote_id=remote_id)
    except KeyboardInterrupt:
        again = status_line(f"{path} {remote_id}")
        raise Interrupted(f"Stopped watching; it goes on at the API. Look again: {again}") from None
    return replace(outcome, api_path=path, remote_id=remote_id)


def _submit(plan: GenerationRequest, settings: Settings) -> str:
    """The remote id. One request, never repeated.

    :raises MuleQueueError: nothing was created, or nobody knows.
    """
    answer = client.submit_once(
        plan.profile,
        plan.model.api_path,
        plan.body(settings),
        settings=settings,
        kind=plan.model.kind,
    )
    if isinstance(answer, client.Accepted):
        assert answer.reply.remote_id is not None
        return answer.reply.remote_id
    if isinstance(answer, client.Unknown):
        raise MuleQueueError(
            "The create request was sent and its answer lost; it may exist and may be paid, so it "
            f"is not sent again: {answer.reason}"
        )
    if isinstance(answer, client.NotSent):
        raise MuleQueueError(f"Nothing was sent to {plan.profile.base_url}: {answer.reason}")
    raise MuleQueueError(f"The API refused it; nothing was created: {words(answer.error)}")


def words(error: ErrorInfo | None) -> str:
    """An error of the API in one line."""
    if error is None:
        return "it gives no reason"
    text = ": ".join(dict.fromkeys(part for part in (error.title, error.detail) if part))
    code = f" (code {error.code})" if error.code is not None else ""
    return f"{text or error.type}{code}"


def snapshot(
    plan: GenerationRequest,
    settings: Settings,
    remote_id: str,
    *,
    as_json: bool,
    print_message: Callable[[str], None],
) -> int:
    """Ask the API once how a generation stands; the exit code."""
    path = plan.model.api_path
    found = status_checks.fetch_once(
        plan.profile, path, remote_id, settings=settings, kind=plan.model.kind
    )
    if isinstance(found, client.NotFound):
        raise InputError(
            f"{plan.profile.base_url} knows no generation {remote_id} at {path}. A generation is "
            f"only found at the path it was created at: {words(found.error)}"
        )
    if isinstance(found, client.Transient):
        raise MuleQueueError(f"{plan.profile.base_url} gives no answer: {found.reason}")
    if as_json:
        error = None if found.error is None else words(found.error)
        echo_json(
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
        print_message(found.status or found.state)
        for url in found.urls:
            print_message(url)
        if found.error is not None:
            print_message(words(found.error))
    return 1 if found.state == "failed" else 0
