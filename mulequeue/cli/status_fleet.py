"""``mulequeue status`` without an id: the whole fleet, once or continuously."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import click

from mulequeue import catalog
from mulequeue.catalog.usd import format_usd
from mulequeue.cli import render
from mulequeue.cli.exits import STILL_RUNNING, SUCCEEDED
from mulequeue.cli.output import print_json, print_message
from mulequeue.cli.view import Progress
from mulequeue.cli.watch import Watched, WatchOptions, watch
from mulequeue.engine.poll.poll_plan import fit
from mulequeue.ledger import DurationSample, Ledger, SubmissionStatus
from mulequeue.ops.health.workers import queue_depths
from mulequeue.settings import Settings

_RUNNING = ("waiting", "submitting", "generating")
_OVER = ("succeeded", "failed", "timed_out", "submit_unknown", "cancelled", "files")
_DEPTHS_SECONDS = 2.0
"""Time between two reads of the queue lengths, each of which needs a connection to the broker."""
_OVERDUE_SECONDS = 10.0
"""If the first due record is overdue for longer, no worker polls."""

FleetState = dict[str, Any]
"""The object of ``--json``."""


def show_fleet(app: Any, ledger: Ledger, settings: Settings, options: WatchOptions) -> int:
    """Show the fleet once, until nothing is in progress, or until Ctrl-C; return the exit code."""
    watched = FleetWatch(app, ledger, settings, until_idle=options.wait)
    if options.is_waiting:
        title = f"fleet {settings.fleet} · Ctrl-C stops"
        stopped = "Stopped watching; the workers continue."
        watch(watched, title, options, interrupted=stopped)
    else:
        watched.refresh()
    state = watched.state
    if options.as_json or not options.is_waiting:
        state["learned"] = learned_schedules(ledger, settings)
        _print_state(state, as_json=options.as_json)
    return SUCCEEDED if watched.is_idle or not options.is_waiting else STILL_RUNNING


def _print_state(state: FleetState, *, as_json: bool) -> None:
    if as_json:
        print_json(state)
        return
    click.secho(f"fleet {state['fleet']}", bold=True)
    for line in fleet_lines(state):
        click.echo(line)
    if warning := overdue_warning(state):
        print_message(warning)


class FleetWatch(Watched):
    """The state of the fleet. With ``until_idle`` it is over when nothing is in progress, else never."""

    def __init__(self, app: Any, ledger: Ledger, settings: Settings, *, until_idle: bool) -> None:
        self._ledger, self._settings, self._until_idle = ledger, settings, until_idle
        self._read_depths = queue_depths(app, settings)
        self._depths: dict[str, int] = {}
        self._depths_read = -math.inf
        self.state: FleetState = {"fleet": settings.fleet, "counts": {}}

    @property
    def is_idle(self) -> bool:
        """Return whether nothing is in progress."""
        return not any(self.state["counts"].get(word) for word in _RUNNING)

    def refresh(self) -> bool:
        """Read the state of the fleet, without the learned schedules; return whether the watch ends."""
        if time.monotonic() - self._depths_read >= _DEPTHS_SECONDS:
            self._depths, self._depths_read = self._read_depths(), time.monotonic()
        ledger, settings = self._ledger, self._settings
        size, first = ledger.queries.overdue()
        late = max(0.0, ledger.queries.now() - first) if first is not None else 0.0
        profiles = list(dict.fromkeys(["default", *settings.profiles]))
        statuses = ledger.limits.submission_statuses(profiles)
        self.state = {
            "fleet": settings.fleet,
            "counts": ledger.queries.counts(),
            "due": size,
            "overdue_seconds": round(late, 1),
            "profiles": [_profile_state(status, settings) for status in statuses],
            "learned": [],
            "queues": self._depths,
        }
        return self._until_idle and self.is_idle

    def progress(self) -> Progress:
        """Return ``3 generating; 41 succeeded, 3 failed, 41 files``, and the rows for the live display."""
        parts = [_counted(self.state, _RUNNING) or "nothing in progress"]
        parts += filter(None, [_counted(self.state, _OVER)])
        rows = [*fleet_lines(self.state), *filter(None, [overdue_warning(self.state)])]
        return Progress("; ".join(parts), rows=rows)


def fleet_lines(state: FleetState) -> list[str]:
    """Return the lines of the counts (coloured if above 0), queues, profiles and learned schedules."""
    return [
        *(_count_line(state, word) for word in _RUNNING),
        "since the ledger was created",
        *(_count_line(state, word) for word in _OVER),
        *(f"  in queue {name}: {count:,}" for name, count in state["queues"].items() if count),
        *map(profile_line, state["profiles"]),
        *map(learned_line, state["learned"]),
    ]


def _count_line(state: FleetState, word: str) -> str:
    count = state["counts"].get(word, 0)
    name, sign, _ = render.STATES[word]
    line = f"  {sign} {name:<11}{count:>10,}"
    return render.coloured(word, line) if count else line


def _counted(state: FleetState, words: tuple[str, ...]) -> str:
    counts = ((state["counts"].get(word, 0), render.STATES[word][0]) for word in words)
    return ", ".join(f"{count:,} {name}" for count, name in counts if count)


def overdue_warning(state: FleetState) -> str | None:
    """Return a warning if the oldest status check is more than 10 s overdue, else None."""
    if state["overdue_seconds"] <= _OVERDUE_SECONDS:
        return None
    return (
        f"{state['due']:,} status checks are due, the oldest is {state['overdue_seconds']:.0f} s "
        "overdue: no worker consumes the poll queue. Start one:\n  celery -A mulequeue worker"
    )


# Profiles


def _profile_state(submissions: SubmissionStatus, settings: Settings) -> dict[str, Any]:
    limits = settings.profile(submissions.profile, needs_key=False)
    most = limits.max_in_flight_per_fair_key or math.inf
    return {
        "profile": submissions.profile,
        "in_flight": submissions.in_flight,
        "max_in_flight": limits.max_in_flight,
        "fair_keys_in_flight": len(submissions.in_flight_by_key),
        "fair_keys_at_limit": sum(count >= most for count in submissions.in_flight_by_key),
        "today": submissions.today,
        "max_per_day": limits.max_per_day,
        "today_usd": float(submissions.today_usd),
        "max_usd_per_day": limits.max_usd_per_day,
        "paused_since": submissions.paused_since,
        "refused_until": submissions.paused_until,
        "reasons": submissions.reasons(),
    }


def profile_line(state: Mapping[str, Any]) -> str:
    """Return ``profile default: 12 of 50 in flight, 812 today, 8.12 of 20.00 USD today (estimate), …``."""
    parts = [
        f"{_of(state['in_flight'], state['max_in_flight'])} in flight",
        f"{_of(state['today'], state['max_per_day'])} today",
    ]
    if state["fair_keys_at_limit"]:
        count, total = state["fair_keys_at_limit"], state["fair_keys_in_flight"]
        parts.append(f"{count} of {total} fair keys at max_in_flight_per_fair_key")
    if state["today_usd"] or state["max_usd_per_day"] is not None:
        parts.append(f"{_usd_today(state)} today (estimate)")
    if state["paused_since"] is not None:
        parts.append(f"paused by hand since {render.moment(state['paused_since'])}")
    elif state["reasons"]:
        parts.append(f"paused: {'; '.join(state['reasons'])}")
    return f"profile {state['profile']}: {', '.join(parts)}"


def _of(number: int, limit: int | None) -> str:
    return str(number) if limit is None else f"{number} of {limit}"


def _usd_today(state: Mapping[str, Any]) -> str:
    amounts = [state["today_usd"], state["max_usd_per_day"]]
    return " of ".join(format_usd(Decimal(str(usd))) for usd in amounts if usd is not None)


# Schedules


def learned_schedules(ledger: Ledger, settings: Settings) -> list[dict[str, Any]]:
    """Return the models whose poll schedule follows recorded durations, JSON-ready."""
    outcomes = ledger.metrics.counters().get("outcomes", {}) if settings.learn_cadence else {}
    paths = sorted({path for path, status in outcomes if status == "succeeded"})
    schedules = (_learned(path, ledger.queries.durations(path)) for path in paths)
    return [schedule for schedule in schedules if schedule is not None]


def _learned(path: str, samples: Sequence[DurationSample]) -> dict[str, Any] | None:
    model = catalog.find(f"/vendors/{path}")
    plan = fit(samples, model.schedule)
    first = None if plan is None else plan.seconds(0.0)
    if plan is None or first is None:
        return None
    return {
        "model": model.name,
        "generations": round(sum(sample.weight for sample in samples)),
        "median_seconds": round(plan.median_seconds, 1),
        "first_check_seconds": round(first, 1),
    }


def learned_line(shown: Mapping[str, Any]) -> str:
    """Return ``alibaba/wan2.6-t2i: 14 s (median of the last 200), first check after 9 s``."""
    return (
        f"{shown['model']}: {shown['median_seconds']:.3g} s (median of the last "
        f"{shown['generations']}), first check after {shown['first_check_seconds']:.3g} s"
    )
