"""The command line: ``mulequeue …``, and the same as ``celery -A proj mulequeue …``."""

from __future__ import annotations

import difflib
import importlib
import sys
from typing import Any, NamedTuple

import click


class Entry(NamedTuple):
    """A command in the help, which is shown without importing it."""

    module: str
    help: str

    def load(self, name: str) -> click.Command:
        """Import the command."""
        command: click.Command = getattr(importlib.import_module(self.module), f"{name}_command")
        return command


SECTIONS: dict[str, dict[str, Entry]] = {
    "Try": {
        "demo": Entry(
            "mulequeue.local.demo_command",
            "Run a complete fleet on an emulated API; no key needed.",
        ),
        "dev": Entry(
            "mulequeue.local.dev_command", "Run Redis, worker and poller in the foreground."
        ),
        "emulator": Entry("mulequeue.emulator.command", "Run an emulator of the API."),
    },
    "Generate": {
        "run": Entry("mulequeue.cli.run", "Make one generation."),
        "batch": Entry("mulequeue.cli.batch", "Make a generation from every prompt in a file."),
    },
    "Inspect": {
        "status": Entry(
            "mulequeue.cli.status", "Show the fleet, a task, a batch or a generation at the API."
        ),
        "list": Entry("mulequeue.cli.list_command", "List generations or batches."),
        "models": Entry("mulequeue.cli.models", "List the models, or show the parameters of one."),
        "doctor": Entry("mulequeue.cli.doctor", "Check the fleet and print how to fix problems."),
    },
    "Control": {
        "resume": Entry("mulequeue.cli.control", "Resume a cancelled or timed out generation."),
        "cancel": Entry(
            "mulequeue.cli.control", "Cancel a task or a batch; what the API accepted continues."
        ),
        "adopt": Entry("mulequeue.cli.control", "Wait for a generation that exists at the API."),
        "pause": Entry("mulequeue.cli.control", "Pause submissions on the whole fleet."),
        "unpause": Entry("mulequeue.cli.control", "Resume submissions."),
    },
    "Operate": {
        "exporter": Entry("mulequeue.cli.exporter", "Serve metrics to Prometheus."),
        "webhooks": Entry("mulequeue.cli.webhooks", "Receive webhooks without a web application."),
    },
}
COMMANDS = {name: entry for section in SECTIONS.values() for name, entry in section.items()}
EXAMPLES = """\
mulequeue demo
mulequeue run alibaba/wan2.6-t2i "a mule at dawn" -p n=1 --output pictures
mulequeue batch prompts.csv --column Prompt -p n=1 --batch-id calendar"""
EXIT_CODES = [
    ("0", "all succeeded"),
    ("1", "something failed or is unknown, or the input is invalid"),
    ("2", "still running at --max-wait"),
    ("130", "interrupted; submitted generations continue"),
]


class LazyGroup(click.Group):
    """Imports a command when it is used, and prints an error as one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        return entry.load(cmd_name) if entry is not None else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, COMMANDS))
        for title, entries in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:<{width}}", e.help) for name, e in entries.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Examples"):
            for line in EXAMPLES.splitlines():
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")
        with formatter.section("Exit codes"):
            formatter.write_dl(EXIT_CODES)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Return commands with their help lines, and click's own completion of options."""
        from click.shell_completion import CompletionItem

        names = [name for name in COMMANDS if name.startswith(incomplete)]
        options = super().shell_complete(ctx, incomplete) if incomplete.startswith("-") else []
        return [*(CompletionItem(name, help=COMMANDS[name].help) for name in names), *options]

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        try:
            return super().make_context(*args, **kwargs)
        except click.UsageError as exc:
            raise _usage_error(exc) from None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as exc:
            near = difflib.get_close_matches(args[0], COMMANDS, n=2)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            raise _error(f"{exc.message.rstrip('.')}.{hint}") from None

    def invoke(self, ctx: click.Context) -> Any:
        from mulequeue.cli.output import errors_in_one_line

        try:
            with errors_in_one_line(debug=bool(ctx.params.get("debug"))):
                return super().invoke(ctx)
        except click.UsageError as exc:
            raise _usage_error(exc) from None


def _usage_error(exc: click.UsageError) -> click.ClickException:
    """Return a usage error with exit code 1: click's own, 2, means "still running" here."""
    if isinstance(exc, click.exceptions.NoArgsIsHelpError):
        return exc
    where = f" See `{exc.ctx.command_path} --help`." if exc.ctx is not None else ""
    return _error(f"{exc.format_message().rstrip('.')}.{where}")


def _error(message: str) -> click.ClickException:
    from mulequeue.cli.output import CommandError

    return CommandError(message)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="mulequeue", message="mulequeue %(version)s")
def mulequeue(debug: bool) -> None:
    """Run MuleRouter generations (images, videos, speech, music) as Celery tasks."""


def main() -> None:
    """Run the program."""
    sys.exit(mulequeue(prog_name="mulequeue"))
