"""The plug-in of the ``celery`` program: ``celery -A proj mulequeue …``.

``celery`` imports every installed plug-in for every app. So this module is outside of the package: only a project
that imports mulequeue itself gets mulequeue's tasks, queues and watchdog.
"""

from __future__ import annotations

import click


class Plugin(click.Group):
    """A group that delegates to the command group of :mod:`mulequeue.cli`, which it imports on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return self._group().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return one command."""
        return self._group().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help of the commands."""
        self._group().format_commands(ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples and the exit codes."""
        self._group().format_epilog(ctx, formatter)

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; print an error as one line."""
        return self._group().invoke(ctx)

    @staticmethod
    def _group() -> click.Group:
        from mulequeue.cli import mulequeue

        return mulequeue


mulequeue = Plugin(
    "mulequeue",
    help="Run and inspect MuleRouter generations.",
    params=[click.Option(["--debug"], is_flag=True, help="Show the traceback of an error.")],
)
