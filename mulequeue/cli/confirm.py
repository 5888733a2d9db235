"""Show the cost of a batch: the summary of ``--dry-run``, and the question before a large one."""

from __future__ import annotations

import json
import sys
from collections import Counter
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import click

from mulequeue.cli.output import labelled, one_line, print_json, print_message
from mulequeue.cli.preflight import Call
from mulequeue.errors import MuleQueueError
from mulequeue.net.address_guard import is_loopback
from mulequeue.settings.costs import Estimate, estimate

DRY_RUN_KEYS = ("dry_run", "model", "count", "parameters", "usd", "unpriced", "files")
_MAX_VALUES, _WIDTH = 4, 12


def print_dry_run(call: Call) -> None:
    """Print what a batch would make, from which parameters, and its estimated cost."""
    found, parameters = _estimate(call), _parameters(call)
    if call.as_json:
        values = (True, found.model, found.count, parameters, float(found.usd), found.unpriced)
        print_json(dict(zip(DRY_RUN_KEYS, (*values, list(call.paths)), strict=True)))
        return
    rows = [("model", found.model), ("generations", f"{found.count:,}")]
    rows += [(name, _counted(values, found.count)) for name, values in parameters.items()]
    rows.append(("estimate", str(found)))
    if found.unpriced:
        rows.append(("no price", f"{found.unpriced:,} of {found.count:,}; set mulequeue_prices"))
    rows += [("first file", f"{call.storage}/{path}") for path in call.paths[:1]]
    width = max(_WIDTH, *(len(name) + 2 for name, _ in rows))
    for name, text in rows:
        click.echo(labelled(name, one_line(text), width))
    click.echo("All inputs are valid. Nothing was sent.")


def confirm(call: Call, *, yes: bool) -> None:
    """Ask before a large batch at a terminal; an API on this machine costs nothing.

    :raises MuleQueueError: the answer is no.
    """
    is_terminal = sys.stdin.isatty() and sys.stderr.isatty()
    host = urlsplit(call.settings.profile(needs_key=False).base_url).hostname or ""
    if yes or not is_terminal or is_loopback(host):
        return
    found, settings = _estimate(call), call.settings
    is_expensive = found.usd > Decimal(str(settings.confirm_above_usd))
    if found.count <= settings.confirm_above and not is_expensive:
        return
    print_message(f"{found.model}: {found}.")
    if not click.confirm("Send them?", err=True):
        raise MuleQueueError("Nothing was sent.")


def _estimate(call: Call) -> Estimate:
    return estimate(call.model.name, call.inputs, app=call.app)


def _parameters(call: Call) -> dict[str, dict[str, int]]:
    """Count the values of each parameter but the prompt, the most frequent first."""
    found: dict[str, Counter[str]] = {}
    for given in call.inputs:
        for name, value in given.items():
            if name != call.model.prompt_field:
                found.setdefault(name, Counter())[_text(value)] += 1
    return {name: dict(values.most_common()) for name, values in found.items()}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _counted(values: dict[str, int], size: int) -> str:
    """Return ``1``, or ``1 (40), 2 (19), not given (1)``."""
    if values and size == next(iter(values.values())):
        return next(iter(values))[:60]
    parts = [f"{value[:30]} ({count:,})" for value, count in list(values.items())[:_MAX_VALUES]]
    if len(values) > _MAX_VALUES:
        parts.append(f"{len(values) - _MAX_VALUES:,} other values")
    missing = size - sum(values.values())
    return ", ".join([*parts, *([f"not given ({missing:,})"] if missing else [])])
