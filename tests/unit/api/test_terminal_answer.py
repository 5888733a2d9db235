"""The part of a terminal response that the ledger stores."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from mulequeue import catalog
from mulequeue.api.parsing import read_task
from mulequeue.api.terminal_answer import answer_of, error_of, reported_duration
from mulequeue.outcome import ErrorInfo


def settled(body: dict[str, Any], *, kind: Any = "image") -> dict[str, Any]:
    model = replace(catalog.find("alibaba/wan2.6-t2i"), kind=kind, retention_seconds=3600)
    return answer_of(read_task(body, kind=kind), model, now=0.0)


def info(status: str) -> dict[str, Any]:
    return {"id": "r", "status": status, "created_at": "2026-01-01T00:00:00Z"}


def test_success_names_its_assets_and_when_they_expire() -> None:
    """Every asset has its URL, its kind, and the time until which the URL is valid."""
    answer = settled({"task_info": info("completed"), "images": ["https://a/1", "https://a/2"]})

    until = "1970-01-01T01:00:00Z"
    assert [
        {"url": f"https://a/{n}", "kind": "image", "expires_at": until} for n in (1, 2)
    ] == answer["assets"]
    assert "error" not in answer


def test_result_key_tells_the_kind() -> None:
    """Assets under "videos" are videos, whatever kind was expected."""
    answer = settled({"task_info": info("completed"), "videos": ["https://a/1"]})

    assert "video" == answer["kind"] == answer["assets"][0]["kind"]


def test_everything_else_is_kept_as_extra() -> None:
    """Other top-level fields and the server's times are kept."""
    answer = settled(
        {"task_info": info("completed"), "images": ["https://a/1"], "description": "x"}
    )

    assert {"description": "x"} == answer["extra"]
    assert "2026-01-01T00:00:00Z" == answer["created_at"]


def test_failure_has_an_error_and_no_assets() -> None:
    """A failed generation keeps the API's code and texts."""
    answer = settled({"task_info": info("failed"), "error": {"title": "no", "error_code": 3001}})

    assert {"type": "GenerationFailed", "code": 3001, "title": "no"} == answer["error"]
    assert "assets" not in answer


def test_answer_is_json_ready_and_small() -> None:
    """Unknown values are left out, and the rest is JSON-compatible."""
    answer = settled({"task_info": {"id": "r", "status": "completed"}, "images": ["https://a/1"]})

    assert {"kind", "assets"} == set(answer)
    assert answer == json.loads(json.dumps(answer))


def test_error_leaves_out_what_is_not_known() -> None:
    """An error is stored without empty fields."""
    assert {"type": "X", "title": "t"} == error_of(ErrorInfo(type="X", title="t"))


@pytest.mark.parametrize(
    ("created", "updated", "seconds"),
    [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:14Z", 14.0),
        ("2026-09-21T08:23:12.657134+00:00", "2026-09-21T08:23:20.157134+00:00", 7.5),
        ("2026-01-01T00:00:00Z", "2026-01-01T01:00:09+01:00", 9.0),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", None),
        ("2026-01-01T00:00:09Z", "2026-01-01T00:00:00Z", None),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:14", None),
        ("2026-01-01T00:00:00Z", "soon", None),
        ("2026-01-01T00:00:00Z", None, None),
    ],
)
def test_the_apis_own_times_tell_a_life(
    created: str, updated: str | None, seconds: float | None
) -> None:
    """The duration is read from all forms of the times; invalid ones give none."""
    assert seconds == reported_duration({"created_at": created, "updated_at": updated})


def test_an_answer_without_times_tells_no_life() -> None:
    """Without both times there is no duration."""
    assert reported_duration({}) is None
    assert reported_duration({"created_at": "2026-01-01T00:00:00Z"}) is None
