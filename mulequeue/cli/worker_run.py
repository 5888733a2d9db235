"""``mulequeue run`` on the workers: enqueue, watch the record, tell."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mulequeue.cli.app import ledger_of
from mulequeue.cli.batch import warn_without_batch
from mulequeue.cli.error_line import Interrupted, one_line
from mulequeue.cli.outcome_output import print_outcome, print_submitted, status_line
from mulequeue.cli.output import print_message
from mulequeue.cli.pause_hint import PauseHint
from mulequeue.cli.preflight import print_warnings
from mulequeue.cli.task_view import TaskView
from mulequeue.cli.task_watch import TaskWatch
from mulequeue.cli.worker_hint import WorkerHint
from mulequeue.ledger import outcome_of
from mulequeue.tasks.definitions import download, generate

if TYPE_CHECKING:
    from mulequeue.cli.run import Call


def run_on_workers(app: Any, call: Call, *, no_wait: bool) -> int:
    """Enqueue one generation and watch it; the exit code."""
    ledger = ledger_of(app)
    print_warnings(call.warnings)
    stored = f"{call.task_id}-download"
    member = generate.s(
        call.model.name,
        call.input,
        poll_interval=call.poll_interval,
        on_failure="return",
        **({"validate": call.validate} if call.validate else {}),
    )
    chain = member.set(task_id=call.task_id) | download.s(storage=call.storage).set(task_id=stored)
    chain.apply_async()
    view = TaskView(quiet=call.quiet)
    watch = TaskWatch(ledger, call.task_id, download_id=stored, print_message=view.say)
    tell = print_message if call.quiet else view.say
    hints: list[Callable[[], None]] = [
        WorkerHint(
            app, tell, lambda: watch.record is not None, local=warn_without_batch(call.task_id)
        ),
        PauseHint(ledger, tell),
    ]
    try:
        with view:
            is_over = _watch_task(watch, view, hints, max_wait=call.max_wait, no_wait=no_wait)
    except KeyboardInterrupt:
        raise Interrupted(
            f"Stopped watching; it goes on in the workers. {_resume_hint(call.task_id)}"
        ) from None
    if not is_over:
        print_message(f"Still running. {_resume_hint(call.task_id)}")
        return 2
    return _print_result(watch, call, no_wait=no_wait)


def _watch_task(
    watch: TaskWatch,
    view: TaskView,
    hints: Sequence[Callable[[], None]],
    *,
    max_wait: float | None,
    no_wait: bool,
) -> bool:
    """Look until it is over (or has its id, if that is enough); False: ``max_wait`` has passed."""
    gives_up = None if max_wait is None else time.monotonic() + max_wait
    while not (watch.refresh() or (no_wait and watch.has_remote_id)):
        if gives_up is not None and time.monotonic() >= gives_up:
            return False
        view.tick(watch.record)
        for hint in hints:
            hint()
        time.sleep(0.2)
    return True


def _print_result(watch: TaskWatch, call: Call, *, no_wait: bool) -> int:
    record = watch.record
    assert record is not None
    if no_wait and record.remote_id and record.status in (None, "succeeded"):
        print_submitted(record.api_path, record.remote_id, call.task_id, as_json=call.as_json)
        return 0
    outcome = outcome_of(record)
    if watch.problem:
        print_message(f"Not stored: {one_line(watch.problem)}")
    print_outcome(outcome, as_json=call.as_json)
    return 0 if outcome.succeeded and not watch.problem else 1


def _resume_hint(task_id: str) -> str:
    return f"Look again:\n  {status_line(task_id)}"
