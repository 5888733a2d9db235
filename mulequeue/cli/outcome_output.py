"""Outcomes as people and scripts read them."""

from __future__ import annotations

import click

from mulequeue.cli.batch_view import echo_json
from mulequeue.cli.error_line import one_line
from mulequeue.cli.render import WORDS
from mulequeue.outcome import Outcome


def print_outcome(outcome: Outcome, *, as_json: bool) -> None:
    """An outcome on standard output: the files (else the URLs), one a line, or why there are none."""
    if as_json:
        echo_json(outcome.to_dict())
        return
    if not outcome.succeeded:
        click.echo(f"{WORDS[outcome.status]}: {reason(outcome)}")
        if outcome.remote_id and outcome.api_path:
            click.echo(f"  {outcome.api_path} {outcome.remote_id}")
    for item in outcome.files or outcome.assets:
        click.echo(item.url)


def reason(outcome: Outcome) -> str:
    """Why it did not succeed, in one line."""
    error = outcome.error
    if error is None:
        return "no reason given"
    parts = [part for part in (error.title, error.detail) if part]
    code = f" (code {error.code})" if error.code is not None else ""
    return one_line(": ".join(dict.fromkeys(parts)) or error.type) + code


def print_submitted(api_path: str, remote_id: str, task_id: str | None, *, as_json: bool) -> None:
    """A generation that is under way: its path, its id, and the line to paste."""
    if as_json:
        echo_json({"task_id": task_id, "api_path": api_path, "remote_id": remote_id})
        return
    click.echo(f"api_path   {api_path}")
    click.echo(f"remote_id  {remote_id}")
    click.echo(f"mulequeue status {api_path} {remote_id} --wait")


def status_line(name: str) -> str:
    """The command that waits for a task or a batch."""
    return f"mulequeue status {name} --wait"
