"""Show the timeline of a generation."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from mulequeue.ledger.timeline import Phase

_LABEL_COLUMNS = 11
_NAME_COLUMNS = 12
_BAR_COLUMNS = 24


def timeline_lines(phases: Sequence[Phase], columns: int | None = None) -> Iterator[str]:
    """Iterate over one line per phase: its name, its place in the whole time, its duration and its reason.

    :param columns: a reason that does not fit into them is on separate lines; None: there is no limit.
    """
    if not phases:
        return
    start, end = phases[0].started, max(phase.ended for phase in phases)
    scale = _BAR_COLUMNS / max(end - start, 0.001)
    for number, phase in enumerate(phases):
        left = min(int((phase.started - start) * scale), _BAR_COLUMNS - 1)
        width = max(1, min(round(phase.seconds * scale), _BAR_COLUMNS - left))
        bar = (" " * left + "█" * width).ljust(_BAR_COLUMNS)
        label = "timeline" if number == 0 else ""
        text = f"{label:<{_LABEL_COLUMNS}}{phase.name:<{_NAME_COLUMNS}}{bar} {_seconds(phase.seconds):>9}"
        yield from _with_detail(text, phase.detail, columns)


def _with_detail(text: str, detail: str, columns: int | None) -> Iterator[str]:
    line = f"{text}  {detail}".rstrip()
    if columns is None or len(line) <= columns:
        yield line
        return
    yield text
    indent = " " * (_LABEL_COLUMNS + _NAME_COLUMNS)
    yield from textwrap.wrap(
        detail, columns, initial_indent=indent, subsequent_indent=indent, break_long_words=False
    )


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < 60 else f"{seconds / 60:.1f} min"
