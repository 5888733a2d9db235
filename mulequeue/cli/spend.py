"""``mulequeue spend``."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import click

from mulequeue.catalog.usd import format_usd
from mulequeue.cli import preflight
from mulequeue.cli.costs import COST_KEYS, USD_KEYS, cost_data
from mulequeue.cli.output import columns, json_keys, one_line, print_json, print_message
from mulequeue.ledger.expenses import Charging, Expense
from mulequeue.ops.spend import GROUPS, Sum, all_expenses, parse_since, sum_up

_KEYS = ("generations", *COST_KEYS)
_JSON_HELP = (
    f"With --json: {json_keys(('by', 'since', 'rows', 'total'))}; each row and the total: "
    f"{json_keys(('name', *_KEYS))}. --csv has the same columns, and the group as the first one."
)


@click.command("spend", epilog=_JSON_HELP)
@click.option(
    "--since", metavar="TIME", help="7d, 24h, 30m or a date (UTC).  [default: everything]"
)
@click.option(
    "--by",
    default="model",
    show_default=True,
    metavar="GROUP",
    help=f"{', '.join(GROUPS)} or metadata:KEY.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV on stdout.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@click.pass_context
def spend_command(
    ctx: click.Context, since: str | None, by: str, as_csv: bool, as_json: bool
) -> None:
    """Add up the estimated cost of what the API created.

    The API returns no price: each generation has the estimate that was known when it was submitted.
    Failed generations and those whose create request got no response are shown apart.

    It reads every record that the ledger keeps (by default 7 days). `celery -A proj mulequeue spend` of a Django
    project with mulequeue.contrib.django also reads its database, which keeps them longer.
    """
    app = preflight.app_of(ctx)
    moment = parse_since(since, datetime.now(UTC)) if since is not None else None
    sum_up((), by)  # raises for an unknown group before the ledger is read
    ledger = preflight.ledger_to_read(preflight.settings_of(app))
    if os.environ.get("DJANGO_SETTINGS_MODULE"):
        app.loader.import_default_modules()  # starts Django, as in a worker
    total = Sum()
    sums = sum_up(_added(total, all_expenses(ledger, moment)), by)
    if as_csv:
        _print_csv(by, sums)
    elif as_json:
        rows = [_data(name, found) for name, found in sums.items()]
        start = moment and moment.isoformat()
        print_json({"by": by, "since": start, "rows": rows, "total": _data("total", total)})
    elif sums:
        _print_table(by, sums, total)
    else:
        print_message("The ledger has no generation that was charged in this time.")


def _added(total: Sum, expenses: Iterable[Expense]) -> Iterator[Expense]:
    """Iterate over the expenses, and add each to the total."""
    for expense in expenses:
        total.add(expense)
        yield expense


def _data(name: str, found: Sum) -> dict[str, Any]:
    return {"name": name, "generations": found.generations, **cost_data(found)}


def _print_csv(by: str, sums: Mapping[str, Sum]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow((by.removeprefix("metadata:"), *_KEYS))
    for name, found in sums.items():
        amounts = (f"{found.usd[charging]:f}" for charging in USD_KEYS)
        writer.writerow((name, found.generations, *amounts, found.unpriced))


def _print_table(by: str, sums: Mapping[str, Sum], total: Sum) -> None:
    """Print a table without the columns that are 0 in every row; the estimate is always a column."""
    shown = [
        charging for charging in USD_KEYS if charging is Charging.CHARGED or total.usd[charging]
    ]
    heads = ["estimate", *(str(charging) for charging in shown[1:])]
    if total.unpriced:
        heads.append("price unknown")
    rows = [(by.removeprefix("metadata:"), "generations", *heads)]
    for name, found in [*sums.items(), ("total", total)]:
        amounts = [format_usd(found.usd[charging]) for charging in shown]
        unpriced = [f"{found.unpriced:,}"] if total.unpriced else []
        rows.append((one_line(name) or "-", f"{found.generations:,}", *amounts, *unpriced))
    for line in columns(rows):
        click.echo(line)
