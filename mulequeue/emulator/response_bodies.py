"""The API's response bodies, in every form that it was observed to use."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from mulequeue.emulator.faults import Faults
from mulequeue.emulator.generation import Generation, Phase

_VOCABULARY_A = {
    "pending": "queued",
    "processing": "running",
    "completed": "succeeded",
}
_TITLES = {
    400: "Parameter validation failed",
    402: "Insufficient balance",
    429: "Too Many Requests",
}
_CODES = {400: 2001, 401: 1001, 402: 1003, 404: 2005, 429: 1004}
_FAILURES = {
    3001: ("Task Execution Error", "The prompt was refused by the upstream service."),
    3005: ("External service execution failed", "The external service could not complete."),
}


def problem(
    status: int,
    instance: str,
    *,
    title: str | None = None,
    detail: str | None = None,
    code: int | None = None,
) -> dict[str, Any]:
    """Return the problem object of a rejected request."""
    title = title or _TITLES.get(status) or HTTPStatus(status).phrase
    return {
        "status": status,
        "title": title,
        "detail": detail if detail is not None else title,
        "instance": instance,
        "error_code": _CODES.get(status, 0) if code is None else code,
    }


def refused_envelope(remote_id: str, now: float, refusal: dict[str, Any], faults: Faults) -> Any:
    """Return the response to a rejected create as a failed task, which no poll finds, not as a problem object."""
    error = {
        "code": refusal["error_code"],
        "title": refusal["title"],
        "detail": refusal["detail"],
    }
    at = timestamp(now, faults)
    info = {"id": remote_id, "status": "failed", "created_at": at, "updated_at": at, "error": error}
    return {"task_info": info}


def created(generation: Generation, now: float, faults: Faults) -> dict[str, Any]:
    """Return the response to an accepted create. With ``Life.at_create`` :func:`polled` replaces it."""
    info = _task_info(generation, now, faults)
    if faults.create_id_field != "id":
        info = {faults.create_id_field: info.pop("id"), **info}
    if faults.create_status == "omitted":
        del info["status"]
    return {"task_info": info}


def initial_answer(generation: Generation, faults: Faults) -> dict[str, Any]:
    """Return the response to a poll right after the create: pending, even if the duration is 0."""
    info = _task_info(generation, generation.created, faults)
    word = _word(generation, "pending", faults)
    return {"task_info": {**info, "status": word, "updated_at": info["created_at"]}}


def polled(generation: Generation, now: float, faults: Faults) -> dict[str, Any]:
    """Return the response to a poll, without assets."""
    info = _task_info(generation, now, faults)
    answer: dict[str, Any] = {"task_info": info}
    if generation.phase(now) == "failed":
        title, detail = failure_text(generation)
        code = generation.life.code
        if faults.error_position in ("task_info", "both"):
            info["error"] = {"code": code, "title": title, "detail": detail}
        if faults.error_position in ("top", "both"):
            answer["error"] = {"title": title, "error_code": code, "detail": detail}
    return answer


def with_assets(answer: dict[str, Any], kind: str, assets: Sequence[str]) -> dict[str, Any]:
    """Return the response with its assets under ``images``, ``videos`` or ``audios``."""
    return {**answer, f"{kind}s": list(assets)}


def failure_text(generation: Generation) -> tuple[str, str]:
    """Return title and detail of the error of a failed generation."""
    title, detail = _FAILURES.get(
        generation.life.code, ("Task failed", f"The task failed with code {generation.life.code}.")
    )
    return generation.life.title or title, generation.life.detail or detail


def timestamp(moment: float, faults: Faults) -> str:
    """Format unix seconds as the API does."""
    at = datetime.fromtimestamp(moment, UTC)
    if faults.timestamps == "offset":
        return at.isoformat(timespec="microseconds")
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _task_info(generation: Generation, now: float, faults: Faults) -> dict[str, Any]:
    return {
        "id": generation.remote_id,
        "status": _word(generation, generation.phase(now), faults),
        "created_at": timestamp(generation.created, faults),
        "updated_at": timestamp(generation.changed(now), faults),
    }


def _word(generation: Generation, phase: Phase, faults: Faults) -> str:
    if phase in ("processing", "retrying") and generation.life.active_word is not None:
        return generation.life.active_word
    is_a = faults.vocabulary == "A" or (
        faults.vocabulary == "mixed" and (generation.polls + generation.created * 1000) % 2 >= 1
    )
    return _VOCABULARY_A.get(phase, phase) if is_a else phase
