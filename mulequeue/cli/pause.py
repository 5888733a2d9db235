"""``mulequeue pause`` and ``unpause``, and how the profiles stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import click

from mulequeue.cli.app import app_of, ledger_of
from mulequeue.cli.batch_view import echo_json
from mulequeue.cli.json_help import of_pausing
from mulequeue.ledger import Ledger, SubmissionStatus
from mulequeue.settings import Settings

_PROFILE = click.option("--profile", default="default", show_default=True, metavar="NAME")
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")


@click.command("pause", epilog=of_pausing())
@_PROFILE
@_JSON
@click.pass_context
def pause_command(ctx: click.Context, profile: str, as_json: bool) -> None:
    """Submit nothing more under a profile, on the whole fleet, until `mulequeue unpause`.

    What is new waits, what waits keeps its place. What was submitted goes on: it is polled,
    downloaded and handed on.
    """

    def message_for(is_new: bool) -> str:
        was = "" if is_new else ", and was before"
        return (
            f"Submissions of profile {profile} are paused{was}. What was submitted goes on.\n"
            f"Go on: mulequeue unpause --profile {profile}"
        )

    _switch(ctx, profile, paused=True, as_json=as_json, message_for=message_for)


@click.command("unpause", epilog=of_pausing())
@_PROFILE
@_JSON
@click.pass_context
def unpause_command(ctx: click.Context, profile: str, as_json: bool) -> None:
    """Let the submissions of a profile go on."""

    def message_for(was_paused: bool) -> str:
        text = "go on" if was_paused else "were not paused by hand"
        return f"Submissions of profile {profile} {text}."

    _switch(ctx, profile, paused=False, as_json=as_json, message_for=message_for)


def _switch(
    ctx: click.Context,
    profile: str,
    *,
    paused: bool,
    as_json: bool,
    message_for: Callable[[bool], str],
) -> None:
    """Pause a profile or let it go on; ``message_for``: what to print, given whether that was a change."""
    app = app_of(ctx)
    ledger_of(app)
    from mulequeue.tasks import canvases

    changed = (canvases.pause if paused else canvases.unpause)(profile, app=app)
    if as_json:
        echo_json({"profile": profile, "paused": paused, "changed": changed})
    else:
        click.echo(message_for(changed))


def submission_statuses_of(ledger: Ledger, settings: Settings) -> list[dict[str, Any]]:
    """Every profile of these settings with its limits and how it stands, JSON-ready."""
    names = list(dict.fromkeys(["default", *settings.profiles]))
    return [_shown(status, settings) for status in ledger.limits.submission_statuses(names)]


def _shown(status: SubmissionStatus, settings: Settings) -> dict[str, Any]:
    limits = settings.profile(status.profile, needs_key=False)
    return {
        "profile": status.profile,
        "in_flight": status.in_flight,
        "max_in_flight": limits.max_in_flight,
        "today": status.today,
        "max_per_day": limits.max_per_day,
        "paused_since": status.paused_since,
        "refused_until": status.paused_until,
    }


def submission_line(shown: Mapping[str, Any]) -> str:
    """``profile default: 12 of 50 in flight, 812 of 1000 today, paused by hand since …``."""
    parts = [
        f"{_of(shown['in_flight'], shown['max_in_flight'])} in flight",
        f"{_of(shown['today'], shown['max_per_day'])} today",
    ]
    if shown["paused_since"] is not None:
        parts.append(f"paused by hand since {moment(shown['paused_since'])}")
    elif shown["refused_until"] is not None:
        parts.append(f"the API refuses more until {moment(shown['refused_until'])}")
    return f"profile {shown['profile']}: {', '.join(parts)}"


def _of(number: int, most: int | None) -> str:
    return str(number) if most is None else f"{number} of {most}"


def moment(at: float) -> str:
    """A time for people: ``2026-05-01 12:00:00 UTC``, of unix seconds."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"
