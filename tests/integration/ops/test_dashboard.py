"""docker/grafana/dashboard.json: its queries have answers in a real Prometheus beside a real fleet."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

pytest.importorskip("prometheus_client")

from support.deaths import MODEL, generate
from support.exporter import Exporter
from support.fleet import Fleet
from support.pages import DOCS
from support.prometheus import Prometheus, prometheus
from support.waiting import wait_until

# Behind the installed package, which is what is tested.
sys.path.append(str(DOCS.parent))

from mulequeue import download
from tools.dashboard import expressions, load

PANELS: list[dict[str, Any]] = load()["panels"]
QUIET = {"Alerts", "Webhooks per minute"}
"""Panels that show nothing while no alert is pending and no webhook has come."""


def test_panels_fill_the_dashboard_without_overlap() -> None:
    """Each panel has its own id, title and description, and a place that no other one has."""
    for key in ("id", "title", "description"):
        assert len(PANELS) == len({panel[key] for panel in PANELS})
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in PANELS)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    height = max(y for _, y in cells) + 1
    assert sorted(cells) == [(x, y) for x in range(24) for y in range(height)]


def test_every_query_asks_the_chosen_source() -> None:
    """The queries use the variables of the dashboard, so it serves another Prometheus, too."""
    assert ["datasource", "instance"] == [it["name"] for it in load()["templating"]["list"]]
    for panel in PANELS:
        for target in panel["targets"]:
            assert {"type": "prometheus", "uid": "${datasource}"} == target["datasource"]
            assert target["expr"].count("mulequeue_") == target["expr"].count("$instance")


def test_every_query_has_an_answer(make_fleet: Callable[..., Fleet], tmp_path: Path) -> None:
    """Beside a fleet that is paused, stores one file and fails once, each panel has the series that it shows."""
    fleet = make_fleet(
        celeryconfig=f'mulequeue_prices = {{{MODEL!r}: {{"unit": "call", "usd": 1}}}}'
    )
    fleet.worker("-c", "2")
    with Exporter(fleet) as exporter, prometheus(tmp_path, urlsplit(exporter.url).netloc) as server:
        fleet.emulator.faults(
            creates=[{"do": "status", "status": 429, "retry_after": "1", "count": 1}],
            lives=[
                {"contains": "forbidden", "end": "failed", "code": 3001},
                {"contains": "endless", "end": "never"},
            ],
        )
        generate(fleet, "an endless mule").apply_async()
        generate(fleet, "a mule").apply_async().get(timeout=60)
        # Prometheus counts an increase from the first value that it saw.
        wait_until(lambda: server.query("mulequeue_outcomes_total"), what="the first outcome")
        (generate(fleet, "a mule") | download.s()).apply_async().get(timeout=60)
        generate(fleet, "a forbidden mule").apply_async().get(timeout=60)

        for title, expression in expressions(rate_interval="30s"):
            if title not in QUIET:
                wait_until(partial(server.query, expression), what=f"{title}: {expression}")
            server.query(expression)
        # Not exactly one half: Prometheus extrapolates increases to the ends of the hour.
        assert 0.2 < value(server, "Succeeded") < 0.8
        assert 1 == value(server, "Ledger")
        assert 1 == value(server, "In flight")
        assert 0 == value(server, "Maybe paid")


def value(server: Prometheus, title: str) -> float:
    """What a panel of one number shows."""
    (expression,) = (it for name, it in expressions(rate_interval="30s") if name == title)
    return float(server.query(expression)[0]["value"][1])
