"""``mulequeue retry``."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace

import click

from mulequeue.cli import preflight, results
from mulequeue.cli.ids import known_id
from mulequeue.cli.options import json_option
from mulequeue.cli.output import json_keys, print_json, print_message
from mulequeue.cli.render import plural
from mulequeue.errors import InputError, MuleQueueError
from mulequeue.tasks.retry import Retried, retry

KEYS = ("unpaid", "paid", "left", "usd", "unpriced", "called", "in_chord")


@click.command("retry", epilog=f"With --json: {json_keys(KEYS)}; left is {{task id: why}}.")
@click.argument("names", nargs=-1, required=True, metavar="BATCH_ID|TASK_ID...")
@click.option("--failed", is_flag=True, help="Also run what failed at the API: it is billed again.")
@click.option(
    "--unknown", is_flag=True, help="Also run what may exist already: it may be billed twice."
)
@click.option("--dry-run", is_flag=True, help="Show what runs again, and its cost; change nothing.")
@click.option(
    "-y",
    "--yes",
    is_flag=True,
    help="Do not ask, even if something may be billed twice or its chord does not get the result.",
)
@json_option
@click.pass_context
def retry_command(
    ctx: click.Context,
    /,
    names: tuple[str, ...],
    failed: bool,
    unknown: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Run generations again that did not succeed, under their own task ids.

    Those that were refused, and not billed, run again. Those that may be billed twice run again only
    with --failed or --unknown, after their number and estimated cost were shown. Chains and batches continue. A task of
    `each` that was given up is called again.
    """
    app = preflight.app_of(ctx)
    ledger = preflight.ledger_to_write(app)
    ids = [known_id(ledger, name) for name in names]
    plan = retry(*ids, failed=failed, unknown=unknown, dry_run=True, app=app)
    if not dry_run and (plan.task_ids or plan.called):
        _confirm(plan, yes=yes)
        done = retry(*plan.task_ids, *plan.called, failed=failed, unknown=unknown, app=app)
        plan = replace(done, left={**plan.left, **done.left})
    if as_json:
        print_json({key: getattr(plan, key) for key in KEYS} | {"usd": float(plan.usd)})
    else:
        _print(plan, ids, dry_run=dry_run)
    if not plan.task_ids and not plan.called:
        reasons = "; ".join(_left(plan)) or "No member has begun"
        raise InputError(f"There is nothing to retry. {reasons}.")


def _confirm(plan: Retried, *, yes: bool) -> None:
    """Show what may be billed twice, or reaches no chord, and ask at a terminal.

    :raises MuleQueueError: the answer is no.
    """
    if not plan.paid and not plan.in_chord:
        return
    if plan.paid:
        many = plural(len(plan.paid), "generation")
        print_message(f"{many} may be billed a second time; all: {plan.cost}.")
    if plan.in_chord:
        print_message(_chord_note(plan))
    is_terminal = sys.stdin.isatty() and sys.stderr.isatty()
    if is_terminal and not yes and not click.confirm("Send them?", err=True):
        raise MuleQueueError("Nothing was sent.")


def _chord_note(plan: Retried) -> str:
    many = plural(len(plan.in_chord), "generation")
    return (
        f"{many} of a chord that has received the failure: its body is not called again. The results are "
        "in the ledger (mulequeue status ID)."
    )


def _print(plan: Retried, ids: list[str], *, dry_run: bool) -> None:
    verb = "would run" if dry_run else "run"
    if plan.unpaid:
        click.echo(f"{plural(len(plan.unpaid), 'generation')} {verb} again; nothing was billed.")
    if plan.paid:
        click.echo(f"{plural(len(plan.paid), 'generation')} {verb} again, perhaps billed twice.")
    if plan.in_chord and dry_run:
        click.echo(_chord_note(plan))
    if plan.called:
        again = "would be" if dry_run else "is"
        click.echo(
            f"{plural(len(plan.called), 'call')} of each {again} repeated; nothing is billed."
        )
    if not plan.task_ids:
        return
    click.echo(f"Estimated cost: {plan.cost}")
    for line in _left(plan):
        click.echo(line)
    if not dry_run:
        for name in ids:
            click.echo(results.watch_hint(name))


def _left(plan: Retried) -> list[str]:
    """Return how many do not run again, for each reason."""
    counts = Counter(plan.left.values())
    return [f"{count:,} left: {reason}" for reason, count in counts.items()]
