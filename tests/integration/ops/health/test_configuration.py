"""The doctor's findings about the key, the storage and unknown settings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import fsspec
import pytest
from celery import Celery
from support.findings import levels

from mulequeue.emulator.process import EmulatorProcess
from mulequeue.ops.health import examine
from mulequeue.ops.health.account import examine_account
from mulequeue.ops.health.storage_target import storage, storage_path
from mulequeue.settings import Settings

APP = Celery("proj", set_as_current=False)


@pytest.fixture(scope="module")
def strict_emulator() -> Iterator[EmulatorProcess]:
    with EmulatorProcess(require_key="sk-mr-good") as emulator:
        yield emulator


@pytest.mark.parametrize(
    ("api_key", "expected"), [("sk-mr-good", {}), ("sk-mr-wrong", {"key": "error"})]
)
def test_a_refused_key_is_told(
    strict_emulator: EmulatorProcess, api_key: str, expected: dict[str, str]
) -> None:
    """Asking costs nothing, and the key is not shown."""
    findings = examine_account(APP, Settings(api_key=api_key, base_url=strict_emulator.url))

    assert expected == levels(findings)
    assert 0 == strict_emulator.stats()["creates"]
    assert all(api_key not in finding.text + finding.fix for finding in findings)


def test_every_profile_s_key_is_tried(strict_emulator: EmulatorProcess) -> None:
    """One finding each, with the profile's name."""
    other = {"api_key": "sk-mr-wrong", "base_url": strict_emulator.url}
    settings = Settings(
        api_key="sk-mr-good", base_url=strict_emulator.url, profiles={"second": other}
    )

    findings = examine_account(APP, settings)

    assert ["ok", "error"] == [finding.level for finding in findings]
    assert "profile second" in findings[1].text


def test_a_storage_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A file where the folder should be; a storage that refuses; an unknown one."""
    (tmp_path / "taken").write_text("")

    found = {
        url: storage(APP, Settings(storage=url)).level
        for url in (str(tmp_path / "taken" / "x"), "http://127.0.0.1:9/x", "nonsense://x")
    }

    assert {"error"} == set(found.values())
    assert "ok" == storage(APP, Settings(storage=str(tmp_path / "new"))).level
    assert not (tmp_path / "new").exists()


def test_a_storage_is_left_as_it_was() -> None:
    """What the doctor writes to a storage that is no folder is removed again."""
    finding = storage(APP, Settings(storage="memory://doctor"))

    assert "ok" == finding.level
    assert [] == fsspec.filesystem("memory").find("/doctor")


@pytest.mark.parametrize("template", ["{model}/{index}.{ext}", "{remote_idd}", "{remote_id"])
def test_a_path_template_that_cannot_work_is_told(template: str) -> None:
    """With the names that are known, or the one that is missing."""
    finding = storage_path(template)

    assert ("storage-path", "error") == (finding.id, finding.level)
    assert finding.fix


def test_an_unknown_setting_is_told() -> None:
    """With the nearest that there is."""
    app = Celery("proj", set_as_current=False)
    app.config_from_object(SimpleNamespace(mulequeue_storrage="x"))

    (finding,) = examine(app)

    assert ("settings", "error") == (finding.id, finding.level)
    assert "mulequeue_storage" in finding.fix
