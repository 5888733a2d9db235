"""Plots without a plotting library: bars on a logarithmic scale, and lines. Light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from itertools import pairwise

WIDTH, ROW, LEFT, RIGHT, TOP = 760, 34, 230, 120, 74
_STYLE = """
    .card { fill: #ffffff; stroke: #d0d7de; }
    text { fill: #1f2328; }
    .quiet { fill: #59636e; font-size: 12px; }
    .grid { stroke: #d8dee4; }
    .ours { fill: #0969da; } .theirs { fill: #afb8c1; }
    .b { font-weight: 600; }
    .line0 { stroke: #0969da; } .line1 { stroke: #bc4c00; } .line2 { stroke: #59636e; }
    .dot0 { fill: #0969da; } .dot1 { fill: #bc4c00; } .dot2 { fill: #59636e; }
    .limit { stroke: #cf222e; stroke-dasharray: 4 4; }
    @media (prefers-color-scheme: dark) {
      .card { fill: #0d1117; stroke: #3d444d; }
      text { fill: #f0f6fc; }
      .quiet { fill: #9198a1; }
      .grid { stroke: #2f353d; }
      .ours { fill: #4493f8; } .theirs { fill: #656c76; }
      .line0 { stroke: #4493f8; } .line1 { stroke: #f0883e; } .line2 { stroke: #9198a1; }
      .dot0 { fill: #4493f8; } .dot1 { fill: #f0883e; } .dot2 { fill: #9198a1; }
    }
"""


def bars(
    title: str, note: str, rows: Sequence[tuple[str, float]], *, unit: str, ours: str, log: bool
) -> str:
    """Return a plot with one bar per row, shortest first.

    :param rows: names with values above 0.
    :param ours: rows whose names start with this text are coloured.
    :param log: use a logarithmic scale with a grid line per power of ten.
    """
    rows = sorted(rows, key=lambda row: row[1])
    low, high = _decade(rows[0][1]) if log else 0.0, max(value for _, value in rows)
    ticks = _decades(low, high) if log else _steps(high)
    top, span = ticks[-1], WIDTH - LEFT - RIGHT
    parts, bottom = [], TOP + ROW * len(rows)

    def across(value: float) -> float:
        share = math.log(value / low) / math.log(top / low) if log else value / top
        return LEFT + span * max(share, 0.004)

    for tick in ticks:
        x = LEFT + (0 if tick == low else across(tick) - LEFT)
        parts.append(_line("grid", x, TOP - 6, x, bottom))
        parts.append(_text("quiet", x, bottom + 18, f"{tick:,g}", "middle"))
    for at, (name, value) in enumerate(rows):
        y = TOP + ROW * at
        kind = "ours" if name.startswith(ours) else "theirs"
        width = across(value) - LEFT
        parts.append(
            f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{width:.1f}" height="20" rx="3"/>'
        )
        parts.append(_text("b" if kind == "ours" else "", LEFT - 10, y + 15, name, "end"))
        parts.append(_text("", across(value) + 8, y + 15, f"{_short(value)} {unit}", "start"))
    return _page(title, note, bottom + 34, parts)


def lines(
    title: str,
    note: str,
    xs: Sequence[float],
    series: Sequence[tuple[str, Sequence[float]]],
    *,
    x_unit: str,
    limit: float | None = None,
) -> str:
    """Return a plot with one line per series over the same points, on one scale from 0.

    :param limit: the value of a dashed horizontal line.
    """
    height, left = 240, 70
    top_value = _steps(max([limit or 0.0, *(value for _, values in series for value in values)]))
    right, bottom, parts = WIDTH - 190, TOP + height, list[str]()

    def place(x: float, value: float) -> tuple[float, float]:
        return left + (right - left) * x / max(xs), bottom - height * value / top_value[-1]

    for tick in top_value:
        _, y = place(0, tick)
        parts += [
            _line("grid", left, y, right, y),
            _text("quiet", left - 8, y + 4, f"{tick:g}", "end"),
        ]
    for x in xs:
        parts.append(_text("quiet", place(x, 0)[0], bottom + 18, f"{x:,.0f}", "middle"))
    parts.append(_text("quiet", right + 34, bottom + 18, x_unit, "start"))
    if limit is not None:
        y = place(0, limit)[1]
        parts.append(_line("limit", left, y, right, y))
    for number, (name, values) in enumerate(series):
        points = [place(x, value) for x, value in zip(xs, values, strict=True)]
        kind = f"line{number}"
        parts += [_line(kind, *one, *two, width=2.5) for one, two in pairwise(points)]
        parts += [
            f'<circle class="dot{number}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in points
        ]
        at = TOP + 14 + 22 * number
        parts.append(f'<circle class="dot{number}" cx="{right + 18}" cy="{at - 4}" r="5"/>')
        parts.append(_text("", right + 30, at, name, "start"))
    return _page(title, note, bottom + 34, parts)


def _page(title: str, note: str, height: float, parts: Sequence[str]) -> str:
    body = "\n  ".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" '
        f'height="{height:g}" role="img" font-family="system-ui, -apple-system, \'Segoe UI\', '
        f'\'Liberation Sans\', Arial, sans-serif" font-size="13">\n'
        f"  <title>{escape(title)}</title>\n  <style>{_STYLE}  </style>\n"
        f'  <rect class="card" x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1:g}" rx="10"/>\n'
        f"  {_text('b', 20, 30, title, 'start')}\n  {_text('quiet', 20, 50, note, 'start')}\n"
        f"  {body}\n</svg>\n"
    )


def _text(kind: str, x: float, y: float, text: str, anchor: str) -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text{style} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(kind: str, x1: float, y1: float, x2: float, y2: float, width: float = 1) -> str:
    return (
        f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
        f'stroke-width="{width}"/>'
    )


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _decade(value: float) -> float:
    return 10.0 ** math.floor(math.log10(value))


def _decades(low: float, high: float) -> list[float]:
    ticks = [low]
    while ticks[-1] < high:
        ticks.append(ticks[-1] * 10)
    return ticks


def _steps(high: float) -> list[float]:
    """Return 0 and three to six round numbers above it."""
    step = _decade(high) / 2
    step *= next(factor for factor in (1, 2, 4, 5, 10) if high / (step * factor) <= 5)
    return [step * number for number in range(math.ceil(high / step) + 1)]
