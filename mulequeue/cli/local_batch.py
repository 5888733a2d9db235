"""``--local``: generations made in this process, without workers and Redis."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from mulequeue.cli.batch_watch import Summary
from mulequeue.cli.error_line import Interrupted, one_line
from mulequeue.cli.preflight import check_inputs, print_warnings
from mulequeue.cli.render import clock
from mulequeue.engine.eager import generate_inline
from mulequeue.engine.generation_request import GenerationRequest, make_generation_request
from mulequeue.errors import DownloadError, InputError
from mulequeue.outcome import OUTCOME_STATUSES, Outcome
from mulequeue.settings import Settings
from mulequeue.transfer.download_assets import download_assets

if TYPE_CHECKING:
    from mulequeue.cli.batch import Job

CHUNK_SIZE = 16


def settings_for(settings: Settings, folders: tuple[str, ...]) -> Settings:
    """The settings, with the folders of typed files to be read from."""
    return replace(settings, input_roots=(*settings.input_roots, *folders))


def run_batch(job: Job, settings: Settings, folders: tuple[str, ...]) -> int:
    """Make the generations of a batch, some at a time; the exit code."""
    from mulequeue.cli.batch import print_summary

    settings = settings_for(settings, folders)
    check_inputs(job.inputs, settings, job.model, warnings=job.warnings, validate=job.validate)
    if job.batch_id or job.notify:
        raise InputError("--batch-id and --notify need the workers; leave them out with --local.")
    plans = [
        make_generation_request(settings, job.model.name, item, validate="off")
        for item in job.inputs
    ]
    print_warnings(job.warnings)
    started = time.monotonic()
    made = LocalBatch(plans, settings, job.storage)
    is_over = made.run(job.max_wait, _lines(job.quiet, started))
    summary = made.summary(time.monotonic() - started)
    print_summary(summary, job.storage, as_json=job.as_json, missing=made.missing)
    if not is_over:
        click.echo("Stopped at --max-wait; what was not begun was not sent.", err=True)
        return 2
    return 0 if summary.succeeded == summary.submitted and not made.missing else 1


def _lines(quiet: bool, started: float) -> Callable[[str], None]:
    def print_message(text: str) -> None:
        if not quiet:
            click.echo(f"[{clock(time.monotonic() - started)}] {one_line(text)}", err=True)

    return print_message


class LocalBatch:
    """Generations in threads of this process."""

    def __init__(self, plans: list[GenerationRequest], settings: Settings, storage: str) -> None:
        self._plans, self._settings, self._storage = plans, settings, storage
        self._counts: Counter[str] = Counter()
        self._files = 0
        self.missing = 0
        """Assets that could not be stored."""

    def run(self, max_wait: float | None, print_message: Callable[[str], None]) -> bool:
        """Make them all; False when ``max_wait`` seconds passed before. What is under way is
        finished first in any case, because it is paid."""
        limit = self._plans[0].profile.max_in_flight or CHUNK_SIZE
        gives_up = None if max_wait is None else time.monotonic() + max_wait
        with ThreadPoolExecutor(min(CHUNK_SIZE, limit)) as pool:
            pending = {pool.submit(self._make, plan) for plan in self._plans}
            try:
                while pending:
                    left = None if gives_up is None else max(0.0, gives_up - time.monotonic())
                    over, pending = wait(pending, left, return_when=FIRST_COMPLETED)
                    self._count(over, print_message)
                    if not over and left == 0:
                        break
            except KeyboardInterrupt:
                under_way = _cancel(pending)
                click.echo(f"\nFinishing {len(under_way)} that are paid for …", err=True)
                self._count(wait(under_way).done, print_message)
                raise Interrupted(f"Stopped after {self._counts.total()} generations.") from None
            under_way = _cancel(pending)
            self._count(wait(under_way).done, print_message)
        return self._counts.total() == len(self._plans)

    def _make(self, plan: GenerationRequest) -> tuple[GenerationRequest, Outcome, str | None]:
        outcome = generate_inline(plan, self._settings, task_id=uuid.uuid4().hex)
        outcome, problem = stored(outcome, self._settings, self._storage)
        return plan, outcome, problem

    def _count(
        self,
        over: set[Future[tuple[GenerationRequest, Outcome, str | None]]],
        print_message: Callable[[str], None],
    ) -> None:
        for future in over:
            plan, outcome, problem = future.result()
            self._counts[outcome.status] += 1
            self._files += len(outcome.files)
            self.missing += len(outcome.assets) - len(outcome.files)
            text = f"{self._counts.total()} of {len(self._plans)} {outcome.status}: {plan.label}"
            print_message(
                f"{text} ({problem or reason(outcome)})" if problem or outcome.error else text
            )

    def summary(self, seconds: float) -> Summary:
        counts: Mapping[str, Any] = {name: self._counts[name] for name in OUTCOME_STATUSES}
        return Summary(
            submitted=len(self._plans), **counts, files=self._files, seconds=round(seconds, 3)
        )


def _cancel(pending: set[Future[Any]]) -> set[Future[Any]]:
    """Cancel what was not begun; what is left is under way."""
    return {future for future in pending if not future.cancel()}


def stored(outcome: Outcome, settings: Settings, storage: str) -> tuple[Outcome, str | None]:
    """The outcome with its files, and why there are none."""
    if not outcome.succeeded:
        return outcome, None
    try:
        files = download_assets(outcome, settings=settings, storage=storage)
    except DownloadError as exc:
        return outcome, f"not stored: {exc}"
    return replace(outcome, files=files), None


def reason(outcome: Outcome) -> str:
    """Why a generation did not succeed."""
    error = outcome.error
    return (error.detail or error.title or error.type) if error else ""
