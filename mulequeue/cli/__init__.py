"""The command line: ``mulequeue …``, and the same as ``celery -A proj mulequeue …``."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

_COMMANDS = {
    "demo": ("demo", "demo_command", "See it work: a whole fleet, pictures and a page, no key."),
    "dev": ("dev", "dev_command", "Run a fleet in the foreground: Redis, worker and poller."),
    "run": ("run", "run_command", "Make one generation."),
    "batch": ("batch", "batch_command", "Make a generation of every prompt in a file."),
    "status": ("status", "status_command", "Show the fleet, a task, a batch or a generation."),
    "list": ("listing", "list_command", "List the generations the ledger holds."),
    "resume": ("manage", "resume_command", "Take up a generation again whose id is known."),
    "cancel": ("manage", "cancel_command", "Cancel a task or a batch on our side."),
    "pause": ("pause", "pause_command", "Submit nothing more, on the whole fleet."),
    "unpause": ("pause", "unpause_command", "Let submissions go on."),
    "adopt": ("manage", "adopt_command", "Wait for a generation that exists already."),
    "doctor": ("doctor", "doctor_command", "Look at everything, and say what to do about it."),
    "models": ("models", "models_command", "List the models, or show one."),
    "webhooks": ("webhooks", "webhooks_command", "Take MuleRouter's webhooks without a web app."),
    "exporter": ("exporter", "exporter_command", "Show the fleet's numbers to Prometheus."),
    "emulator": ("emulator", "emulator_command", "Run an emulator of the API."),
}
"""Command -> module, attribute, and the help line, so that ``--help`` imports none of them."""
_ELSEWHERE = {
    "demo": "mulequeue.local.demo_command",
    "dev": "mulequeue.local.dev_command",
    "emulator": "mulequeue.emulator.command",
}
"""Modules of commands that are not in this package."""


class LazyGroup(click.Group):
    """Imports a command when it is used, and says an error in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, attribute, _ = _COMMANDS[cmd_name]
        package = _ELSEWHERE.get(cmd_name, f"{__name__}.{module}")
        command: click.Command = getattr(importlib.import_module(package), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in _COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Commands with their help lines, without an import of any; options as click has them."""
        from click.shell_completion import CompletionItem

        names = [name for name in _COMMANDS if name.startswith(incomplete)]
        options = super().shell_complete(ctx, incomplete) if incomplete.startswith("-") else []
        return [*(CompletionItem(name, help=_COMMANDS[name][2]) for name in names), *options]

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        try:
            return super().make_context(*args, **kwargs)
        except click.UsageError as exc:
            raise _one(exc) from None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as exc:
            import difflib

            near = difflib.get_close_matches(args[0], _COMMANDS, n=2)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            raise _print_error(f"{exc.message.rstrip('.')}.{hint}") from None

    def invoke(self, ctx: click.Context) -> Any:
        from mulequeue.cli.error_line import one_line_errors

        try:
            with one_line_errors(debug=bool(ctx.params.get("debug"))):
                return super().invoke(ctx)
        except click.UsageError as exc:
            raise _one(exc) from None


def _one(exc: click.UsageError) -> click.ClickException:
    """Bad usage in one line, with exit code 1: 2, click's own, means "still running" here."""
    if isinstance(exc, click.exceptions.NoArgsIsHelpError):
        return exc
    where = f" See `{exc.ctx.command_path} --help`." if exc.ctx is not None else ""
    return _print_error(f"{exc.format_message().rstrip('.')}.{where}")


def _print_error(message: str) -> click.ClickException:
    from mulequeue.cli.error_line import ErrorLine

    return ErrorLine(message)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="mulequeue", message="mulequeue %(version)s")
def mulequeue(debug: bool) -> None:
    """AI images and videos by the thousand: MuleRouter generations as ordinary Celery tasks.

    Start with `mulequeue demo`. Exit codes: 0 all succeeded, 1 something failed or the input is
    bad, 2 still running at --max-wait.
    """


def main() -> None:
    """The program."""
    sys.exit(mulequeue(prog_name="mulequeue"))
