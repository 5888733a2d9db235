"""The outcome as data."""

from __future__ import annotations

import json

import pytest

from mulequeue.outcome import Asset, ErrorInfo, File, Outcome

FULL = Outcome(
    task_id="order-1",
    status="succeeded",
    remote_id="r-1",
    model="alibaba/wan2.6-t2i",
    kind="image",
    assets=(Asset(url="https://a/1.png", kind="image", expires_at="2026-01-01T00:00:00Z"),),
    error=ErrorInfo(type="X", code=3001),
    extra={"description": "a mule"},
    files=(File(url="file:///m.png", kind="image", media_type="image/png", bytes=9),),
)


def test_json_and_back() -> None:
    """to_dict is JSON, and from_dict of it is the same outcome."""
    assert FULL == Outcome.from_dict(json.loads(json.dumps(FULL.to_dict())))


def test_bare_outcome() -> None:
    """Everything but the id and the status has a default."""
    bare = Outcome(task_id="t", status="failed")

    assert bare == Outcome.from_dict({"task_id": "t", "status": "failed"})
    assert bare == Outcome.from_dict(bare.to_dict())


def test_fields_of_a_newer_version_are_passed_over() -> None:
    """An outcome that a newer release wrote is read, at every depth."""
    newer = FULL.to_dict() | {"colour": "blue"}
    for part in (newer["assets"][0], newer["files"][0], newer["error"]):
        part["shade"] = "dark"

    assert FULL == Outcome.from_dict(newer)


@pytest.mark.parametrize("missing", ["task_id", "status"])
def test_id_and_status_are_needed(missing: str) -> None:
    """What has no id or no status is no outcome."""
    data = FULL.to_dict()
    del data[missing]

    with pytest.raises(TypeError, match=missing):
        Outcome.from_dict(data)


def test_outcome_cannot_be_changed() -> None:
    """An outcome is a value."""
    with pytest.raises(AttributeError):
        FULL.status = "failed"  # type: ignore[misc]


@pytest.mark.parametrize("status", ["failed", "timed_out", "submit_unknown", "cancelled"])
def test_only_succeeded_succeeded(status: str) -> None:
    """succeeded is true for one status."""
    assert FULL.succeeded
    assert not Outcome(task_id="t", status=status).succeeded  # type: ignore[arg-type]
