"""docs/howto/monitoring.md: its metrics are the exporter's, its alerts fire, its log format works."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest

pytest.importorskip("prometheus_client")

import yaml
from support.deaths import generate
from support.exporter import Exporter
from support.fleet import Fleet
from support.pages import DOCS, Block, blocks
from support.programs import program

# Behind the installed package, which is what is tested.
sys.path.append(str(DOCS.parent))

from mulequeue.ledger.metrics import Snapshot
from mulequeue.ops.prometheus_collector import RECOVERIES, LedgerCollector
from tools.dashboard import expressions

PAGE = "howto/monitoring.md"
DOCKER = DOCS.parent / "docker"
TEXT = (DOCS / PAGE).read_text()
RUNBOOK = DOCS / "troubleshooting.md"
ALERTS = [
    rule
    for group in yaml.safe_load((DOCKER / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]


class EmptyLedger:
    """Of a fleet that has done nothing yet."""

    @property
    def metrics(self) -> Self:
        return self

    def snapshot(self) -> Snapshot:
        return Snapshot(
            counted={}, counts={}, webhooks={}, pauses={}, scopes={}, held=frozenset(), due=0, lateness_seconds=0.0,
            late={3: 0, 10: 0, 60: 0},
        )  # fmt: skip


def shown() -> dict[str, str]:
    """Every metric of the exporter and its type."""
    families = LedgerCollector(EmptyLedger()).collect()  # type: ignore[arg-type]
    return {it.name + ("_total" if it.type == "counter" else ""): it.type for it in families}


def block(name: str) -> Block:
    (found,) = (it for it in blocks(PAGE) if it.name == name)
    return found


def promtool(*arguments: Any) -> None:
    command = [program("promtool", "apt install prometheus"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert 0 == done.returncode, done.stdout + done.stderr


def test_the_table_has_every_metric_and_its_type() -> None:
    """The page lists exactly the metrics that the exporter shows."""
    rows = re.findall(r"^\| `(mulequeue_\w+)` \| (\w+)", TEXT, re.M)
    assert shown() == dict(rows)
    (recoveries,) = re.findall(r"`mulequeue_recoveries_total` .*taken over: (.*) \|", TEXT)
    assert list(RECOVERIES) == recoveries.split(", ")


def test_every_alert_has_an_action_and_a_row_of_the_page() -> None:
    """Each rule has a summary, a meaning and an action, a unit test, and a row of the page that it names."""
    names = [rule["alert"] for rule in ALERTS]
    assert names == re.findall(r"^\| `(Mulequeue\w+)`", RUNBOOK.read_text(), re.M)
    tests = (DOCKER / "alerts.test.yml").read_text()
    assert [] == [name for name in names if f'alertname="{name}"' not in tests]
    for rule in ALERTS:
        assert {"summary", "description", "action", "runbook"} == set(rule["annotations"])
        assert "docs/troubleshooting.md#alerts" == rule["annotations"]["runbook"]


def test_alerts_and_panels_ask_for_metrics_that_exist() -> None:
    """Each metric in a rule or a panel is one of the exporter, and each metric has a panel."""
    texts = {"alerts": [rule["expr"] for rule in ALERTS]}
    texts["panels"] = [text for _, text in expressions(rate_interval="1m")]
    asked = {
        name: {re.sub("_bucket$", "", it) for it in re.findall(r"\bmulequeue_\w+", " ".join(of))}
        for name, of in texts.items()
    }
    assert asked["alerts"]
    assert asked["alerts"] <= set(shown())
    assert asked["panels"] == set(shown()) - {"mulequeue_due_entries"}


def test_each_alert_fires_when_it_should(tmp_path: Path) -> None:
    """promtool takes rules and configuration, and the rules' unit tests hold."""
    promtool("check", "rules", DOCKER / "alerts.yml")
    promtool("test", "rules", DOCKER / "alerts.test.yml")
    shutil.copy(DOCKER / "alerts.yml", tmp_path)
    (tmp_path / "prometheus.yml").write_text(block("prometheus.yml").text)
    promtool("check", "config", tmp_path / "prometheus.yml")


def test_the_commands_of_the_page(fleet: Fleet) -> None:
    """The exporter answers where the page's prometheus.yml asks."""
    install, start = [command for it in blocks(PAGE) for command in it.commands]
    assert 'pip install "mulequeue[metrics]"' == install
    assert start.startswith("mulequeue exporter ")
    assert "127.0.0.1:8789" in block("prometheus.yml").text

    options = start.removeprefix("mulequeue exporter ").replace("8789", "0").split()
    with Exporter(fleet, *options) as exporter:
        assert 1 == exporter.values()["mulequeue_ledger_up"][()]


def test_logs_as_json(make_fleet: Callable[..., Fleet]) -> None:
    """With the page's configuration a generation's lines are JSON, found by its task id."""
    fleet = make_fleet(celeryconfig=block("celeryconfig.py").text)
    worker = fleet.worker("-c", "1")
    result = generate(fleet, "a mule").apply_async(task_id="order-7")
    remote_id = result.get(timeout=30)["remote_id"]
    worker.wait_for_text("generation finished")

    after = worker.text.partition(" ready.")[2].partition("\n")[2]
    lines = [json.loads(line) for line in after.splitlines() if line.strip()]
    ours = [line for line in lines if line.get("task_id") == "order-7"]
    assert f"generation submitted: {remote_id}" in {line["message"] for line in ours}
    assert {"remote_id", "model", "time", "level", "logger"} <= set(ours[0])
    assert {"generation submitted: 5e9…", "generation finished"} == {
        json.loads(line)["message"] for it in blocks(PAGE) if it.language == "json"
        for line in it.text.splitlines()
    }  # fmt: skip
