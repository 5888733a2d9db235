"""The command line: ``mulequeue …``, and the same as ``celery -A proj mulequeue …``."""

from __future__ import annotations

import difflib
import importlib
import sys
from typing import Any

import click

from mulequeue.cli.exits import CommandError, errors_in_one_line
from mulequeue.cli.output import is_plain

SECTIONS = {
    "Try": {
        "demo": "Run a complete fleet on an emulated API; no key needed.",
        "dev": "Run Redis, worker and poller in the foreground.",
        "emulator": "Run an emulator of the API.",
    },
    "Generate": {
        "run": "Make one generation.",
        "batch": "Make a generation from every prompt in a file.",
    },
    "Inspect": {
        "status": "Show the fleet, a task, a batch or a generation at the API.",
        "list": "List generations or batches.",
        "spend": "Add up what generations cost, by their estimates.",
        "models": "List the models, or show the parameters of one.",
        "doctor": "Check the fleet and print how to fix problems.",
    },
    "Control": {
        "retry": "Run generations again that did not succeed.",
        "resume": "Resume a cancelled or timed out generation.",
        "cancel": "Cancel a task or a batch; what the API accepted continues.",
        "adopt": "Wait for a generation that exists at the API.",
        "pause": "Pause submissions on the whole fleet.",
        "unpause": "Resume submissions.",
    },
    "Operate": {
        "exporter": "Serve metrics to Prometheus.",
        "webhooks": "Receive webhooks without a web application.",
    },
}
COMMANDS = {name: text for section in SECTIONS.values() for name, text in section.items()}
_MODULES = {
    "demo": "mulequeue.local.demo",
    "dev": "mulequeue.local.dev",
    "emulator": "mulequeue.emulator.command",
    "list": "mulequeue.cli.list_command",
    **dict.fromkeys(SECTIONS["Control"], "mulequeue.cli.control"),
    **dict.fromkeys(("doctor", *SECTIONS["Operate"]), "mulequeue.cli.operate"),
}
"""The module of each command that is not in ``mulequeue.cli.<command>``."""
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
    """A group that imports a command when it is used, and prints an error as one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(_MODULES.get(cmd_name, f"mulequeue.cli.{cmd_name}"))
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, COMMANDS))
        for title, entries in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:<{width}}", text) for name, text in entries.items()])

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
        return [*(CompletionItem(name, help=COMMANDS[name]) for name in names), *options]

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with errors_in_one_line():
            return super().make_context(*args, **kwargs)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as exc:
            near = difflib.get_close_matches(args[0], COMMANDS, n=2)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            raise CommandError(f"{exc.message.rstrip('.')}.{hint}") from None

    def invoke(self, ctx: click.Context) -> Any:
        with errors_in_one_line(debug=bool(ctx.params.get("debug"))):
            return super().invoke(ctx)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="mulequeue", message="mulequeue %(version)s")
@click.pass_context
def mulequeue(ctx: click.Context, debug: bool) -> None:
    """Run MuleRouter generations (images, videos, speech, music) as Celery tasks."""
    if is_plain():
        ctx.color = False


def main() -> None:
    """Run ``mulequeue``, and exit with the exit code of the command."""
    sys.exit(mulequeue(prog_name="mulequeue"))
