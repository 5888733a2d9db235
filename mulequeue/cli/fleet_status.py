"""``mulequeue status`` without an id: the whole fleet, once or continuously."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import click

from mulequeue import catalog
from mulequeue.cli import render, results
from mulequeue.cli.output import print_json, print_message
from mulequeue.cli.view import Progress, view_for
from mulequeue.cli.watch import Watched, WatchOptions, watch
from mulequeue.engine.poll.poll_plan import fit
from mulequeue.ledger import DurationSample, Ledger, SubmissionStatus
from mulequeue.settings import Settings

RUNNING = ("waiting", "submitting", "generating")
OVER = ("succeeded", "failed", "timed_out", "submit_unknown", "cancelled", "files")
OVERDUE_SECONDS = 10.0
"""If the first record is overdue for longer, no worker polls."""


@dataclass(frozen=True, kw_only=True)
class FleetState:
    """The state of the fleet at one moment."""

    name: str
    counts: Mapping[str, int]
    due: int
    overdue_seconds: float
    profiles: Sequence[Mapping[str, Any]] = ()
    """In flight, sent today and paused, per profile: :func:`profile_states`."""
    learned: Sequence[Mapping[str, Any]] = ()
    """When models are checked: :func:`learned_schedules`. Empty while the fleet is followed."""

    @classmethod
    def read(cls, ledger: Ledger, settings: Settings) -> Self:
        """Read it from the ledger."""
        size, first = ledger.queries.overdue()
        late = max(0.0, ledger.queries.now() - first) if first is not None else 0.0
        return cls(
            name=settings.fleet,
            counts=ledger.queries.counts(),
            due=size,
            overdue_seconds=round(late, 1),
            profiles=profile_states(ledger, settings),
        )

    @property
    def is_idle(self) -> bool:
        """Nothing is in progress."""
        return not any(self.counts.get(word) for word in RUNNING)

    def to_dict(self) -> dict[str, object]:
        """Return the object of ``--json``."""
        return {
            "fleet": self.name,
            "counts": dict(self.counts),
            "due": self.due,
            "overdue_seconds": self.overdue_seconds,
            "profiles": list(self.profiles),
            "learned": list(self.learned),
        }

    def lines(self) -> list[str]:
        """Return the counts in columns, coloured unless they are zero."""
        rows = [self._row(word) for word in RUNNING]
        rows.append("since the ledger was created")
        rows += [self._row(word) for word in OVER]
        rows += [profile_line(profile) for profile in self.profiles]
        return rows + [learned_line(model) for model in self.learned]

    def _row(self, word: str) -> str:
        count = self.counts.get(word, 0)
        row = f"  {render.SIGNS[word][0]} {render.WORDS.get(word, word):<11}{count:>10,}"
        return render.coloured(word, row) if count else row

    def progress(self) -> Progress:
        """Return ``3 generating; 41 succeeded, 3 failed, 41 files``, and the rows."""
        parts = [self._counted(RUNNING) or "nothing in progress", self._counted(OVER)]
        rows = [*self.lines(), *([warning] if (warning := self.warning()) else [])]
        return Progress("; ".join(part for part in parts if part), rows=rows)

    def _counted(self, words: tuple[str, ...]) -> str:
        counts = ((self.counts.get(word, 0), render.WORDS.get(word, word)) for word in words)
        return ", ".join(f"{count:,} {word}" for count, word in counts if count)

    def warning(self) -> str | None:
        """Return a warning if no worker polls."""
        if self.overdue_seconds <= OVERDUE_SECONDS:
            return None
        return (
            f"{self.due:,} status checks are due, the oldest is {self.overdue_seconds:.0f} s overdue: "
            "no worker consumes the poll queue. Start one:\n  celery -A mulequeue worker"
        )


def show_fleet(ledger: Ledger, settings: Settings, options: WatchOptions) -> int:
    """Show the fleet once, until nothing is in progress, or until Ctrl-C; return the exit code."""
    watched = FleetWatch(ledger, settings, until_idle=options.wait)
    if options.is_waiting:
        with view_for(f"fleet {settings.fleet} · Ctrl-C stops", quiet=options.quiet) as view:
            watch(
                watched,
                view,
                max_wait=options.max_wait,
                interrupted="Stopped watching; the workers continue.",
            )
    else:
        watched.refresh()
    if options.as_json or not options.is_waiting:
        state = replace(watched.state, learned=learned_schedules(ledger, settings))
        _print_state(state, as_json=options.as_json)
    is_over = watched.state.is_idle or not options.is_waiting
    return results.SUCCEEDED if is_over else results.STILL_RUNNING


def _print_state(state: FleetState, *, as_json: bool) -> None:
    if as_json:
        print_json(state.to_dict())
        return
    click.secho(f"fleet {state.name}", bold=True)
    for line in state.lines():
        click.echo(line)
    if warning := state.warning():
        print_message(warning)


class FleetWatch(Watched):
    """The fleet, until it is idle if that is waited for."""

    def __init__(self, ledger: Ledger, settings: Settings, *, until_idle: bool) -> None:
        self._ledger, self._settings, self._until_idle = ledger, settings, until_idle
        self.state = FleetState(name=settings.fleet, counts={}, due=0, overdue_seconds=0)

    def refresh(self) -> bool:
        self.state = FleetState.read(self._ledger, self._settings)
        return self._until_idle and self.state.is_idle

    def progress(self) -> Progress:
        return self.state.progress()


# Profiles


def profile_states(ledger: Ledger, settings: Settings) -> list[dict[str, Any]]:
    """Return the limits and the use of every profile, JSON-ready."""
    names = list(dict.fromkeys(["default", *settings.profiles]))
    return [
        _profile_state(submissions, settings)
        for submissions in ledger.limits.submission_statuses(names)
    ]


def _profile_state(submissions: SubmissionStatus, settings: Settings) -> dict[str, Any]:
    limits = settings.profile(submissions.profile, needs_key=False)
    return {
        "profile": submissions.profile,
        "in_flight": submissions.in_flight,
        "max_in_flight": limits.max_in_flight,
        "today": submissions.today,
        "max_per_day": limits.max_per_day,
        "paused_since": submissions.paused_since,
        "refused_until": submissions.paused_until,
    }


def profile_line(state: Mapping[str, Any]) -> str:
    """Return ``profile default: 12 of 50 in flight, 812 of 1000 today, paused by hand since …``."""
    parts = [
        f"{_of(state['in_flight'], state['max_in_flight'])} in flight",
        f"{_of(state['today'], state['max_per_day'])} today",
    ]
    if state["paused_since"] is not None:
        parts.append(f"paused by hand since {render.moment(state['paused_since'])}")
    elif state["refused_until"] is not None:
        parts.append(f"the API rejects more until {render.moment(state['refused_until'])}")
    return f"profile {state['profile']}: {', '.join(parts)}"


def _of(number: int, limit: int | None) -> str:
    return str(number) if limit is None else f"{number} of {limit}"


# Schedules


def learned_schedules(ledger: Ledger, settings: Settings) -> list[dict[str, Any]]:
    """Return the models whose poll schedule follows recorded durations, JSON-ready."""
    if not settings.learn_cadence:
        return []
    ended = {
        path
        for path, status in ledger.metrics.counters().get("outcomes", {})
        if status == "succeeded"
    }
    return list(_learned(ledger, sorted(ended)))


def learned_line(shown: Mapping[str, Any]) -> str:
    """Return ``alibaba/wan2.6-t2i: 14 s (median of the last 200), first check after 9 s``."""
    return (
        f"{shown['model']}: {shown['median_seconds']:.3g} s (median of the last "
        f"{shown['generations']}), first check after {shown['first_check_seconds']:.3g} s"
    )


def _learned(ledger: Ledger, paths: Sequence[str]) -> Iterator[dict[str, Any]]:
    for path in paths:
        model, samples = catalog.find(f"/vendors/{path}"), ledger.queries.durations(path)
        cadence = fit(samples, model.schedule)
        first = None if cadence is None else cadence.seconds(0.0)
        if first is not None:
            yield {
                "model": model.name,
                "generations": round(sum(sample.weight for sample in samples)),
                "median_seconds": round(_median(samples), 1),
                "first_check_seconds": round(first, 1),
            }


def _median(samples: Sequence[DurationSample]) -> float:
    """Return the weighted median of the samples' middles."""
    half = sum(sample.weight for sample in samples) / 2
    counted = 0.0
    for sample in sorted(samples, key=lambda sample: sample.low + sample.high):
        counted += sample.weight
        if counted >= half:
            return (sample.low + sample.high) / 2
    return 0.0
