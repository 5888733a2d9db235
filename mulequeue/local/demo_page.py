"""The demo's page: one HTML file beside the pictures."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from mulequeue.cli.render import STATES, plural, reason_of, state_of, word_of
from mulequeue.ledger import Record
from mulequeue.testing.notification_recorder import Notification


def write_page(
    folder: Path,
    shown: Sequence[tuple[str, Record]],
    seconds: float,
    notification: Notification | None,
    stats: Mapping[str, int],
) -> Path:
    """Write ``index.html`` with the prompts and their records, and return its path."""
    template = resources.files(__package__).joinpath("demo_page.html").read_text("utf-8")
    parts = {
        "COUNT": f"{len(shown)}",
        "SECONDS": f"{seconds:.1f}",
        "FACTS": _facts(sum(len(record.files) for _, record in shown), stats),
        "NOTIFICATION": _notification(notification),
        "CARDS": "\n".join(_card(folder, prompt, record) for prompt, record in shown),
    }
    for name, html in parts.items():
        template = template.replace(f"<!--{name}-->", html)
    page = folder / "index.html"
    page.write_text(template, "utf-8")
    return page


def _facts(files: int, stats: Mapping[str, int]) -> str:
    facts = {
        "submitted": stats.get("created", 0),
        "status checks": stats.get("polls", 0),
        "files stored": files,
        "paid twice": stats.get("duplicates", 0),
    }
    return "".join(f"<div><dt>{word}</dt><dd>{count}</dd></div>" for word, count in facts.items())


def _notification(notification: Notification | None) -> str:
    if notification is None:
        return '<p class="notification bad">No notification arrived.</p>'
    found = notification.data.get("counts", {})
    counts = ", ".join(f"{n} {STATES[word][0]}" for word, n in found.items() if n)
    return (
        '<p class="notification"><b>Signature verified</b> '
        f"<code>{escape(notification.type)}</code> {escape(counts)} "
        f"<span>{notification.at:%H:%M:%S} UTC · {escape(notification.id)}</span></p>"
    )


def _card(folder: Path, prompt: str, record: Record) -> str:
    seconds = (record.finished or 0) - (record.submitted or 0)
    took = f"{seconds:.1f} s" if record.finished and record.submitted else "–"
    return (
        f'<li class="card {escape(state_of(record))}">{_picture(folder, prompt, record)}'
        f"<div><p>{escape(prompt)}</p>"
        f'<p class="meta"><span class="status">{escape(word_of(record))}</span>'
        f"<span>{plural(record.polls, 'check')}</span><span>{took}</span></p></div></li>"
    )


def _picture(folder: Path, prompt: str, record: Record) -> str:
    if not record.files:
        reason = reason_of(record) if record.is_over else "still running"
        return f'<div class="none">{escape(reason)}</div>'
    # Relative to the page, so that the folder can be moved.
    source = quote(os.path.relpath(unquote(urlsplit(record.files[0].url).path), folder))
    return (
        f'<a href="{escape(source)}"><img src="{escape(source)}" '
        f'alt="{escape(prompt)}" loading="lazy"></a>'
    )
