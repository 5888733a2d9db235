"""Draw the panels of docker/grafana/dashboard.json from a Prometheus, without Grafana.

``python -m tools.dashboard http://127.0.0.1:9090 docs/images/dashboard.png --minutes 5`` asks for what
the panels show and photographs the page with Chromium. The picture has the dashboard's panels, places
and series; colours and fonts are not Grafana's.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

DASHBOARD = Path(__file__).parents[1] / "docker" / "grafana" / "dashboard.json"
_COLOURS = ("#3274d9", "#56a64b", "#e0752d", "#8f3bb8", "#c4162a", "#e0b400", "#1f9e9e", "#6e7680")
_POINTS = 120
_STYLE = """
body { margin: 0; padding: 12px; width: 1376px; background: #f4f5f5; color: #24292e;
  font: 12px system-ui, 'Liberation Sans', Arial, sans-serif; display: grid; gap: 8px;
  grid-template-columns: repeat(24, 1fr); grid-auto-rows: 22px; }
section { background: #fff; border: 1px solid #d8dce0; border-radius: 3px; padding: 6px 8px; overflow: hidden; }
h2 { font-size: 12px; margin: 0 0 2px; }
.stat { font-size: 32px; text-align: center; padding-top: 14px; }
i { display: inline-block; width: 10px; height: 3px; margin: 0 4px 3px 8px; }
.legend { font-size: 11px; max-height: 30px; overflow: hidden; }
svg text { font-size: 10px; fill: #6e7680; } .grid { stroke: #e7e9eb; }
"""


def load() -> dict[str, Any]:
    """Return the dashboard."""
    return dict(json.loads(DASHBOARD.read_text("utf-8")))


def expressions(*, rate_interval: str) -> Iterator[tuple[str, str]]:
    """Yield each panel's title with each of its queries, with Grafana's variables filled in."""
    for panel in load()["panels"]:
        for target in panel["targets"]:
            text = target["expr"].replace("$__rate_interval", rate_interval)
            yield panel["title"], text.replace("$instance", ".*")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prometheus")
    parser.add_argument("output", type=Path)
    parser.add_argument("--minutes", type=float, default=5)
    options = parser.parse_args()
    end = time.time()
    times = [end - options.minutes * 60 * (1 - number / (_POINTS - 1)) for number in range(_POINTS)]
    body = "".join(_panel(options.prometheus, panel, times) for panel in load()["panels"])
    page = f"<!doctype html><meta charset=utf-8><style>{_STYLE}</style>{body}"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "dashboard.html"
        file.write_text(page, "utf-8")
        _photograph(file, options.output)


def _photograph(page: Path, output: Path) -> None:
    rows = max(it["gridPos"]["y"] + it["gridPos"]["h"] for it in load()["panels"])
    command = [
        shutil.which("chromium") or "chromium",
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
    ]
    command += [
        "--hide-scrollbars",
        f"--window-size=1400,{rows * 30 + 20}",
        f"--screenshot={output}",
    ]
    subprocess.run([*command, page.as_uri()], check=True, capture_output=True, timeout=60)


def _panel(url: str, panel: dict[str, Any], times: Sequence[float]) -> str:
    series = [
        (_name(target["legendFormat"], found["metric"]), _values(found, times))
        for target in panel["targets"]
        for found in _ask(url, target["expr"], times)
    ]
    defaults, place = panel["fieldConfig"]["defaults"], panel["gridPos"]
    height = place["h"] * 30 - 8
    if panel["type"] == "stat":
        body = _stat(series, defaults)
    elif panel["type"] == "table":
        body = f"<p>{'<br>'.join(escape(name) for name, _ in series) or 'No alerts'}</p>"
    else:
        is_stacked = "stacking" in defaults["custom"]
        body = _plot(series, times, defaults["unit"], place["w"] * 57 - 30, height - 66, is_stacked)
    spot = f"grid-column: {place['x'] + 1} / span {place['w']}; grid-row: {place['y'] + 1} / span {place['h']}"
    return f'<section style="{spot}"><h2>{escape(panel["title"])}</h2>{body}</section>'


def _ask(url: str, expression: str, times: Sequence[float]) -> list[dict[str, Any]]:
    step = times[1] - times[0]
    text = expression.replace("$__rate_interval", f"{max(15, 4 * math.ceil(step))}s")
    query = {"query": text.replace("$instance", ".*"), "start": times[0], "end": times[-1]}
    with urlopen(
        f"{url}/api/v1/query_range?{urlencode(query | {'step': step})}", timeout=30
    ) as answer:
        return list(json.load(answer)["data"]["result"])


def _name(legend: str, labels: dict[str, str]) -> str:
    if not legend:
        return " ".join(labels.get(name, "") for name in ("alertname", "alertstate")).strip()
    return re.sub(r"{{(\w+)}}", lambda found: labels.get(found[1], ""), legend).strip() or "none"


def _values(found: dict[str, Any], times: Sequence[float]) -> list[float]:
    step, values = times[1] - times[0], [math.nan] * len(times)
    for moment, value in found["values"]:
        values[min(round((moment - times[0]) / step), len(times) - 1)] = float(value)
    return values


def _stat(series: Sequence[tuple[str, Sequence[float]]], defaults: dict[str, Any]) -> str:
    known = [value for _, values in series for value in values if not math.isnan(value)]
    if not known:
        return '<div class="stat">No data</div>'
    steps = defaults["thresholds"]["steps"]
    colour = [it["color"] for it in steps if it["value"] is None or known[-1] >= it["value"]][-1]
    colour = {"yellow": "#b58900"}.get(colour, colour)  # readable on white
    text = _number(known[-1], defaults["unit"])
    for mapping in defaults.get("mappings", ()):
        text = mapping["options"].get(text, {"text": text})["text"]
    return f'<div class="stat" style="color: {colour}">{escape(text)}</div>'


def _plot(
    series: Sequence[tuple[str, Sequence[float]]],
    times: Sequence[float],
    unit: str,
    width: int,
    height: int,
    is_stacked: bool,
) -> str:
    below = [0.0] * len(times)
    drawn: list[tuple[str, list[float], list[float]]] = []
    for name, values in series:
        base = list(below) if is_stacked else [0.0] * len(times)
        top = [
            low + (0 if math.isnan(it) else it) if is_stacked else it
            for low, it in zip(base, values, strict=True)
        ]
        below = top if is_stacked else below
        drawn.append((name, base, top))
    highest = max([0.1, *(it for _, _, top in drawn for it in top if not math.isnan(it))])
    left, parts = 52, list[str]()

    def x(number: int) -> float:
        return left + (width - left) * number / (len(times) - 1)

    def y(value: float) -> float:
        return height - 16 - (height - 24) * value / highest

    for share in (0, 0.5, 1):
        level = y(highest * share)
        parts.append(f'<line class="grid" x1="{left}" x2="{width}" y1="{level}" y2="{level}"/>')
        text = _number(highest * share, unit)
        parts.append(f'<text x="{left - 6}" y="{level + 3}" text-anchor="end">{text}</text>')
    for number in (0, len(times) // 2, len(times) - 1):
        text = time.strftime("%H:%M:%S", time.gmtime(times[number]))
        anchor = "start" if number == 0 else "end" if number == len(times) - 1 else "middle"
        parts.append(f'<text x="{x(number)}" y="{height - 2}" text-anchor="{anchor}">{text}</text>')
    for number, (_, base, top) in enumerate(drawn):
        colour = _COLOURS[number % len(_COLOURS)]
        line = [f"{x(at):.1f},{y(it):.1f}" for at, it in enumerate(top) if not math.isnan(it)]
        if is_stacked:
            back = [f"{x(at):.1f},{y(it):.1f}" for at, it in enumerate(base)][::-1]
            parts.append(
                f'<polygon points="{" ".join(line + back)}" fill="{colour}" opacity=".6"/>'
            )
        parts.append(
            f'<polyline points="{" ".join(line)}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        )
    legend = "".join(
        f'<i style="background: {_COLOURS[at % len(_COLOURS)]}"></i>{escape(name)}'
        for at, (name, _, _) in enumerate(drawn)
    )
    legend = legend or "No data"
    return f'<svg width="{width}" height="{height}">{"".join(parts)}</svg><div class="legend">{legend}</div>'


def _number(value: float, unit: str) -> str:
    if unit == "percentunit":
        return f"{value:.1%}"
    if unit == "currencyUSD":
        return f"${value:,.2f}"
    if unit == "Bps" and value >= 1000:
        return f"{value / 1000:.0f} kB/s"
    return f"{value:.3g}" + (" s" if unit == "s" else "")


if __name__ == "__main__":
    main()
