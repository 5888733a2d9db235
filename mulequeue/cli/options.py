"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from mulequeue import catalog
from mulequeue.catalog.validation.calls import MODES
from mulequeue.errors import InputError

Command = TypeVar("Command", bound=Callable[..., Any])

_PARAM_HELP = (
    "An input field, as the API names it. VALUE is JSON, else text; @PATH is a file to send "
    "(write '\"@text\"', with the quotes, for a text that starts with @). Repeatable. --extra is an "
    "alias."
)
_VALIDATE_HELP = (
    "strict rejects what the model does not accept, warn only warns, off does not check.  "
    "[default: the setting mulequeue_validate]"
)


def complete_model(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the model names that begin with the typed text, for shell completion."""
    return [model.name for model in catalog.all_models() if model.name.startswith(incomplete)]


def _above_zero(
    ctx: click.Context, parameter: click.Parameter, value: float | None
) -> float | None:
    if value is not None and not 0 < value < float("inf"):
        raise InputError(
            f"{parameter.opts[0]} is {value:g}; it must be a number of seconds above 0."
        )
    return value


def _seconds_option(name: str, text: str) -> Callable[[Command], Command]:
    return click.option(name, type=float, metavar="S", callback=_above_zero, help=text)


json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object on stdout."
)
quiet_option = click.option("--quiet", is_flag=True, help="Hide progress.")
output_option = click.option("--output", metavar="DIR", help="Store files in this folder or URL.")
max_wait_option = _seconds_option("--max-wait", "Stop watching after S seconds; exit code 2.")
poll_interval_option = _seconds_option("--poll-interval", "Seconds between checks of the API.")
_SHARED = (
    click.option(
        *("-p", "--param", "--extra"),
        "params",
        multiple=True,
        metavar="KEY=VALUE",
        help=_PARAM_HELP,
    ),
    click.option(
        "--metadata",
        multiple=True,
        metavar="KEY=VALUE",
        help="Your own data of the generations, which outcome and list show. Repeatable.",
    ),
    click.option(
        "--fair-key",
        metavar="KEY",
        help="Take turns as one with all generations of KEY, such as a customer.  [default: the batch]",
    ),
    output_option,
    max_wait_option,
    click.option("--validate", type=click.Choice(MODES), help=_VALIDATE_HELP),
    click.option("--local", is_flag=True, help="Run in this process, without workers or Redis."),
    quiet_option,
    json_option,
)


def generation_options(command: Command) -> Command:
    """Add the options that ``run`` and ``batch`` share; :class:`.preflight.Call` holds them."""
    for option in reversed(_SHARED):
        command = option(command)
    return command
