"""Options that several commands share, and the values typed for them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from mulequeue.catalog import Model
from mulequeue.catalog.validation.calls import MODES
from mulequeue.cli.prompts import read_text
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


@dataclass(frozen=True, kw_only=True)
class Call:
    """What ``run`` or ``batch`` generates and how, checked."""

    model: Model
    inputs: list[dict[str, Any]]
    storage: str
    """Folder or URL of the files."""
    folders: tuple[str, ...] = ()
    """Folders of the files that were typed as ``@path``."""
    validate: str | None = None
    poll_interval: float | None = None
    max_wait: float | None = None
    quiet: bool = False
    as_json: bool = False


def complete_model(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the model names that a shell may offer."""
    from mulequeue import catalog

    return [model.name for model in catalog.all_models() if model.name.startswith(incomplete)]


json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object on stdout."
)
quiet_option = click.option("--quiet", is_flag=True, help="Hide progress.")
output_option = click.option("--output", metavar="DIR", help="Store files in this folder or URL.")
max_wait_option = click.option(
    "--max-wait", type=float, metavar="S", help="Stop watching after S seconds; exit code 2."
)
poll_interval_option = click.option(
    "--poll-interval", type=float, metavar="S", help="Seconds between checks of the API."
)


def host_and_port(port: int) -> Callable[[Command], Command]:
    """Add ``--host`` and ``--port`` to the command of a server."""

    def add(command: Command) -> Command:
        command = click.option(
            "--port",
            default=port,
            show_default=True,
            help="Port to listen on; 0 picks a free port.",
        )(command)
        return click.option(
            "--host", default="127.0.0.1", show_default=True, help="Address to listen on."
        )(command)

    return add


def generation_options(command: Command) -> Command:
    """Add the options that ``run`` and ``batch`` share."""
    for option in reversed(
        [
            click.option(
                *("-p", "--param", "--extra"),
                "params",
                multiple=True,
                metavar="KEY=VALUE",
                help=_PARAM_HELP,
            ),
            output_option,
            max_wait_option,
            click.option("--validate", type=click.Choice(MODES), help=_VALIDATE_HELP),
            click.option(
                "--local", is_flag=True, help="Run in this process, without workers or Redis."
            ),
            quiet_option,
            json_option,
        ]
    ):
        command = option(command)
    return command


def check_seconds(name: str, value: float | None) -> None:
    """Raise InputError unless a number of seconds is above 0 (or not given)."""
    if value is not None and not 0 < value < float("inf"):
        raise InputError(f"{name} is {value:g}; it must be a number of seconds above 0.")


def parse_params(pairs: Iterable[str]) -> dict[str, Any]:
    """Return the input fields of ``--param KEY=VALUE``; ``@path`` becomes a file marker.

    :raises InputError: no ``=``, or no key.
    """
    fields = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise InputError(f"--param {pair!r} must be KEY=VALUE, for example --param n=2.")
        fields[key] = _value(text)
    return fields


def _value(text: str) -> Any:
    if text.startswith("@") and len(text) > 1:
        return {"$file": os.path.abspath(text[1:])}
    try:
        return json.loads(text)
    except ValueError:
        return text


def folders_of(pairs: Iterable[str]) -> tuple[str, ...]:
    """Return the folders of the files that were typed as ``@path``."""
    paths = (pair.partition("=")[2] for pair in pairs)
    return tuple(
        {str(Path(path[1:]).resolve().parent): None for path in paths if path.startswith("@")}
    )


def read_object(name: str) -> dict[str, Any]:
    """Read the JSON object in a file; ``-`` is standard input.

    :raises InputError: unreadable, not JSON, or not an object.
    """
    try:
        value = json.loads(read_text(name))
    except ValueError as exc:
        raise InputError(f"--input {name} is not JSON: {exc}.") from None
    if not isinstance(value, dict):
        raise InputError(
            f"--input {name} must hold a JSON object, "
            f'such as {{"prompt": "a mule at dawn"}}, not {json.dumps(value)[:60]}.'
        )
    return value
