"""The command line's help as a page."""

from __future__ import annotations

import inspect

import click

from tools.reference.reading import table

EXIT_CODES = [
    ["0", "all succeeded and is stored; or a snapshot of something that still runs"],
    [
        "1",
        "something failed or is unknown; or bad input, a server that does not answer: one line on standard error says what to change",
    ],
    ["2", "still running at `--max-wait`"],
    [
        "130",
        "Ctrl-C; the workers continue what was submitted, and the last line has the command that shows it",
    ],
]

COMPLETION = [
    ["bash (4.4 or newer)", "`~/.bashrc`", '`eval "$(_MULEQUEUE_COMPLETE=bash_source mulequeue)"`'],
    ["zsh", "`~/.zshrc`", '`eval "$(_MULEQUEUE_COMPLETE=zsh_source mulequeue)"`'],
    [
        "fish",
        "`~/.config/fish/completions/mulequeue.fish`",
        "`_MULEQUEUE_COMPLETE=fish_source mulequeue | source`",
    ],
]


def command_line() -> str:
    """Every command in the order of ``mulequeue --help``."""
    from mulequeue.cli import mulequeue as group

    context = click.Context(group, info_name="mulequeue")
    names = group.list_commands(context)
    parts = [
        "# Command line\n\n",
        "`mulequeue …`, in a project `celery -A proj mulequeue …` and with Django "
        "`python manage.py mulequeue …`.\nProgress goes to standard error and results to standard "
        "output, so a pipe gets results alone.\n\n## Exit codes\n\n",
        table(["code", "means"], EXIT_CODES),
        "\n## Completion\n\nCommands, options, values and the names of models, with this line in the "
        "shell's file:\n\n",
        table(["shell", "file", "line"], COMPLETION),
        "\n## Commands\n\n",
        "".join(f"- [`{name}`](#mulequeue-{name})\n" for name in names),
    ]
    for name in names:
        command = group.get_command(context, name)
        assert command is not None
        parts.append(_page(command, click.Context(command, info_name=name, parent=context)))
    return "".join(parts)


def _page(command: click.Command, context: click.Context) -> str:
    usage = command.get_usage(context).removeprefix("Usage: ")
    parts = [f"\n### {context.command_path}\n\n```text\n{usage}\n```\n\n", _text(command.help)]
    rows = []
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and "--help" not in parameter.opts:
            rows.append([f"`{record[0]}`", record[1]])
    if rows:
        parts.append("\n" + table(["option", ""], rows))
    if command.epilog:
        parts.append(f"\n{_text(command.epilog)}")
    return "".join(parts)


def _text(text: str | None) -> str:
    return inspect.cleandoc(text or "").replace("\b\n", "").strip() + "\n"
