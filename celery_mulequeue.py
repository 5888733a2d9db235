"""The plug-in of the ``celery`` program: ``celery -A proj mulequeue …``.

It stands outside of the package because ``celery`` loads every plug-in that is installed, whichever
app it runs: only a project that imports mulequeue itself gets its tasks, queues and watchdog.
"""

from __future__ import annotations

import click


class Plugin(click.Group):
    """The command group of :mod:`mulequeue.cli`, loaded when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands."""
        return self._group().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One command."""
        return self._group().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Their help lines."""
        self._group().format_commands(ctx, formatter)

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; an error is one line."""
        return self._group().invoke(ctx)

    @staticmethod
    def _group() -> click.Group:
        from mulequeue.cli import mulequeue

        return mulequeue


mulequeue = Plugin(
    "mulequeue",
    help="Generations, batches and the fleet: see mulequeue --help.",
    params=[click.Option(["--debug"], is_flag=True, help="Show the traceback of an error.")],
)
