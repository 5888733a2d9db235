"""Draw the timeline of a generation as SVG for a page, without a style sheet or a script."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from mulequeue.ledger.timeline import Phase

_ROW, _LEFT, _BAR, _WIDTH = 20, 100, 320, 520
_LEAST_WIDTH = 2.0


def timeline_svg(phases: Sequence[Phase]) -> str:
    """Return an SVG with one bar per phase on a common time axis, or an empty text if there are no phases."""
    if not phases:
        return ""
    start = min(phase.started for phase in phases)
    scale = _BAR / max(max(phase.ended for phase in phases) - start, 0.001)
    rows = "".join(
        _row(phase, number * _ROW, (phase.started - start) * scale, phase.seconds * scale)
        for number, phase in enumerate(phases)
    )
    height = len(phases) * _ROW
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="timeline" font-size="12" fill="currentColor">{rows}</svg>'
    )


def _row(phase: Phase, top: int, left: float, width: float) -> str:
    width = max(width, _LEAST_WIDTH)
    title = f"<title>{escape(phase.detail)}</title>" if phase.detail else ""
    return (
        f'<g>{title}<text x="0" y="{top + 14}">{escape(phase.name)}</text>'
        f'<rect x="{_LEFT + min(left, _BAR - _LEAST_WIDTH):.1f}" y="{top + 3}" width="{width:.1f}" '
        f'height="{_ROW - 6}" rx="2"/>'
        f'<text x="{_LEFT + _BAR + 10}" y="{top + 14}">{phase.seconds:.2f} s</text></g>'
    )
