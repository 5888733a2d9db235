"""One function a page."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from mulequeue.engine.submit.park import EPOCH
from tools.reference.command_help import command_line
from tools.reference.reading import attribute_docs, log_calls, markdown, table

SECTIONS = {
    "api_key": "Account",
    "max_in_flight": "Limits",
    "fleet": "Ledger and queues",
    "submit_timeout_seconds": "Requests and waiting",
    "storage": "Storage",
    "notification_secret": "Notifications",
    "webhook_secret": "Webhooks",
    "input_roots": "Inputs and addresses",
}
"""The first setting under each heading; a new one stands under the heading before it."""
FIRST = ["generate", "generate_from", "adopt", "download", "notify", "generate_many", "Outcome"]
VIEWS = [
    "mulequeue.contrib.progress.batch_json",
    "mulequeue.contrib.progress.generation_json",
    "mulequeue.contrib.progress.events",
    "mulequeue.contrib.progress.events_async",
    "mulequeue.contrib.files.open_file",
    "mulequeue.contrib.files.file_part",
    "mulequeue.contrib.zip_entries.batch_entries",
    "mulequeue.contrib.zip_entries.generation_entries",
    "mulequeue.contrib.zip_stream.zip_blocks",
    "mulequeue.contrib.django.attach.attach",
    "mulequeue.contrib.django.on_commit.send_on_commit",
    "mulequeue.contrib.django.responses.event_stream",
    "mulequeue.contrib.django.responses.file_response",
    "mulequeue.contrib.django.responses.zip_response",
    "mulequeue.contrib.fastapi.make_router",
    "mulequeue.contrib.fastapi.event_stream",
    "mulequeue.contrib.fastapi.zip_response",
    "mulequeue.contrib.flask.MuleQueue",
    "mulequeue.contrib.flask.zip_response",
    "mulequeue.engine.webhook_handler.handle",
    "mulequeue.engine.worker_context.worker_context",
    "mulequeue.transfer.notifications.new_secret",
    "mulequeue.emulator.EmulatorProcess",
]
"""What pages import from below ``mulequeue``, by its import path."""
METHODS = {
    "MuleQueue": ["init_app", "may_see", "check"],
    "EmulatorProcess": ["faults", "stats", "creates", "release", "wait"],
}
VIEWS_TEXT = """\
The names that the guides import from modules below `mulequeue`. Django's models `Generation` and `Batch` are in
`mulequeue.contrib.django.models`; their fields have the names of [Outcome](functions.md#outcome).

| in `mulequeue.contrib` | is |
| --- | --- |
| `files.FILE_HEADERS` | response headers for a generated file: browsers show it and do not execute it |
| `progress.EVENT_HEADERS` | response headers for server-sent events: not cached, and not buffered by nginx |

| in `mulequeue.contrib.django.background_tasks` | is, with Django 6 |
| --- | --- |
| `generate`, `adopt`, `generate_many` | the task of that name behind `django.tasks` |
| `generate_files` | a generation and its download as one task |
"""
SIGNALS, KEYS = ["signal", "when, from whom, with what"], ["key", "type", "holds"]


def settings() -> str:
    """Every setting, by heading."""
    from mulequeue.settings import Settings, allowed_values, default_of
    from mulequeue.settings.profiles import PROFILE_LIMITS, Limits

    own = [item.name for item in fields(Settings) if item.name not in PROFILE_LIMITS]
    names = [*own[: own.index("models")], *PROFILE_LIMITS, *own[own.index("models") :]]
    intro = {
        "Limits": f"{markdown(inspect.getdoc(Limits))}\nThese settings are the limits of the profile "
        "`default`; `mulequeue_profiles` has those of the others.\n\n"
    }
    docs = attribute_docs(Settings)
    parts = ["# Settings\n\n", markdown(inspect.getdoc(sys.modules[Settings.__module__]))]
    rows: list[list[str]] = []

    def end() -> None:
        if rows:
            parts.append(table(["setting", "default", "allowed", ""], rows))
            rows.clear()

    for name in names:
        if name in SECTIONS:
            end()
            parts.append(f"\n## {SECTIONS[name]}\n\n{intro.get(SECTIONS[name], '')}")
        default = default_of(name)
        shown = "" if default in (None, (), {}) else f"`{_number(default)}`"
        rows.append([f"`mulequeue_{name}`", shown, allowed_values(name), docs[name]])
    end()
    parts.append(
        "\nIn the environment the names are in capitals: `mulequeue_redis_url` is "
        "`MULEQUEUE_REDIS_URL`. Lists are\nseparated by `:` there; dictionaries are set in the "
        "Celery configuration only. An unknown `mulequeue_…` key or\n`MULEQUEUE_…` variable, and a "
        "value that is not allowed, are errors; none shows the value.\n"
    )
    source = inspect.getsource(import_module("mulequeue.recommended")).split('"""', 2)[2]
    parts.append(
        "\n## Celery's own settings\n\nThe recommended ones are in `mulequeue.recommended`. Put "
        "`from mulequeue.recommended import *` into your\n`celeryconfig.py`, and your changes "
        f"below it.\n\n```python\n{source.strip()}\n```\n"
    )
    return "".join(parts)


def _number(value: Any) -> str:
    return f"{value:_}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def functions() -> str:
    """Tasks, functions and data that ``from mulequeue import …`` gives."""
    import mulequeue
    from mulequeue.ledger import Batch, Record

    parts = ["# Tasks and functions\n\nAll of `from mulequeue import …`. "]
    parts.append("[Errors](errors.md) lists the exceptions.\n")
    public = sorted(mulequeue.__all__, key=lambda name: (_rank(name), name))
    tasks = [name for name in public if hasattr(getattr(mulequeue, name), "run")]
    others = [name for name in public if inspect.isfunction(getattr(mulequeue, name))]
    data = [getattr(mulequeue, name) for name in public if is_dataclass(getattr(mulequeue, name))]
    parts.append("\n## Tasks\n\nCelery tasks: `.delay()`, `.s()`, `.apply_async()`, `|` and ")
    parts.append("`chord` as on every other.\n")
    parts += [_function(f"mulequeue.{name}", getattr(mulequeue, name).run) for name in tasks]
    parts.append("\n## Functions\n")
    parts += [_function(f"mulequeue.{name}", getattr(mulequeue, name)) for name in others]
    parts.append("\n## Data\n")
    parts += [_data(cls) for cls in data]
    parts.append("\n`status` returns one of these:\n")
    parts += [_data(Batch), _data(Record)]
    return "".join(parts)


def views() -> str:
    """Functions and classes for web applications and tests."""
    parts = ["# For web applications and tests\n\n", VIEWS_TEXT]
    for path in VIEWS:
        module, _, name = path.rpartition(".")
        found = getattr(import_module(module), name)
        if inspect.isclass(found):
            parts.append(f"\n## {path}\n\n{markdown(inspect.getdoc(found))}")
            parts += [_function(f"{path}.{each}", getattr(found, each)) for each in METHODS[name]]
        else:
            parts.append(_function(path, found, f"## {path}"))
    return "".join(parts)


def _rank(name: str) -> int:
    """Where a reader looks first."""
    return FIRST.index(name) if name in FIRST else len(FIRST)


def _function(path: str, function: Callable[..., Any], head: str = "") -> str:
    """A section. ``tools/site_hooks.py`` lets mkdocstrings render what is below the comment."""
    name = path.rpartition(".")[2]
    plain = inspect.signature(function)
    given = [
        item.replace(annotation=item.empty)
        for item in plain.parameters.values()
        if item.name not in ("self", EPOCH)  # the ledger's own argument is not for callers
    ]
    signature = str(plain.replace(parameters=given, return_annotation=plain.empty))
    return (
        f"\n{head or f'### {name}'}\n\n`{name}{signature}`\n\n<!-- docstring: {path} -->\n"
        f"{markdown(inspect.getdoc(function))}"
    )


def _data(cls: type[Any]) -> str:
    docs = attribute_docs(cls)
    rows = []
    for item in fields(cls):
        must = item.default is MISSING and item.default_factory is MISSING
        default = "" if must or item.default in (None, MISSING, ()) else f"`{item.default!r}`"
        rows.append([f"`{item.name}`", f"`{item.type}`", default, docs.get(item.name, "")])
    properties = [
        [f"`{name}`", "", "", _first_line(value)]
        for name, value in vars(cls).items()
        if isinstance(value, property) and value.__doc__
    ]
    head = f"\n### {cls.__name__}\n\n{markdown(inspect.getdoc(cls))}\n"
    return head + table(["field", "type", "default", ""], rows + properties)


def _first_line(value: Any) -> str:
    return markdown(inspect.getdoc(value)).strip().partition("\n")[0]


def errors() -> str:
    """The tree, and what each error means."""
    from mulequeue import errors as module

    tree = inspect.getdoc(module) or ""
    rows = [
        [f"`{name}`", _first_line(getattr(module, name))]
        for name in module.__all__
        if isinstance(getattr(module, name), type)
    ]
    return (
        f"# Errors\n\n```text\n{tree}\n```\n\n{table(['error', 'means'], rows)}\n"
        "`GenerationError` and the four below it carry the whole outcome in `.outcome`, the API's "
        "error in `.error` and its\nkind in `.reason`. They survive every result backend. [Troubleshooting]"
        "(../troubleshooting.md#errors) has\nwhat to do about each.\n"
    )


def events() -> str:
    """Signals, Celery events and log lines."""
    from mulequeue import signals

    rows = [
        [level, f"`{text}`", ", ".join(f"`{name}`" for name in extra)]
        for level, text, extra in log_calls(Path(inspect.getfile(signals)).parent)
    ]
    return (
        f"# Events, signals and log lines\n\n## Signals\n\n{markdown(inspect.getdoc(signals), ['signal', 'when, from whom, with what'])}\n"
        "```python\nfrom mulequeue.signals import generation_settled\n\n\n"
        "@generation_settled.connect\ndef count(sender, task_id, outcome, **_):\n"
        "    print(task_id, outcome.status)\n```\n\n"
        "## Celery's events\n\n"
        "`task-generating` (with `model`) is sent once per generation, when its create request "
        "was answered; the state\n`GENERATING` is stored before it leaves. Everything else is Celery's own: "
        "see [Flower](../howto/flower.md).\n\n"
        "## Log lines\n\nThe logger is `mulequeue`. The fields are in `extra`, and no line "
        "contains a key, an input or a signed URL. [Troubleshooting](../troubleshooting.md#log-lines-of-workers-and-receivers)\n"
        "has what to do about each.\n\n" + table(["level", "message", "fields"], rows)
    )


def ledger() -> str:
    """The keys in Redis."""
    from mulequeue import ledger as module

    return (
        f"# Keys of the ledger\n\n{markdown(inspect.getdoc(module), ['key', 'type', 'holds'])}\n"
        "`{fleet}` is `mulequeue_fleet`. Read them with `mulequeue status` and `mulequeue list`, and "
        "change nothing by hand:\na record, its due time and the counts belong together. How much "
        "memory they need is in [Redis](../howto/redis.md).\n"
    )


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings,
    "functions.md": functions,
    "views.md": views,
    "errors.md": errors,
    "cli.md": command_line,
    "events.md": events,
    "ledger.md": ledger,
}
