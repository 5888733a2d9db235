"""Models that differ from the others, as documented on their pages or reported by users."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mulequeue.catalog import Model, all_models

# Without aspect_ratio the create is answered with 202, and the generation fails with 4002.
_REQUIRED_TOO_LATE = "/vendors/klingai/v1/kling-v3-omni/reference-video-to-video/generation"
_MIDJOURNEY = "/vendors/midjourney/v1/tob/diffusion"


def models_by_path() -> dict[str, Model]:
    """Return the catalog's models by create path."""
    return {model.api_path: model for model in all_models()}


def required_fields(model: Model) -> tuple[str, ...]:
    """Return the body fields that the gateway requires."""
    if model.api_path == _REQUIRED_TOO_LATE:
        return tuple(name for name in model.required if name != "aspect_ratio")
    return model.required


def late_failure(model: Model, body: Mapping[str, Any]) -> tuple[int, str] | None:
    """Return error code and detail if an accepted body always makes a generation fail, else None."""
    if model.api_path == _REQUIRED_TOO_LATE and "aspect_ratio" not in body:
        return 4002, "Internal error while running the task"
    return None


def asset_count(model: Model, body: Mapping[str, Any]) -> int:
    """Return the number of assets that the generation makes."""
    if model.api_path == _MIDJOURNEY:
        return 4
    return int(body.get("n") or 1) if model.kind == "image" else 1


def prompt_of(body: Any) -> str:
    """Return the prompt in a body, or an empty string."""
    if not isinstance(body, dict):
        return ""
    for name in ("prompt", "lyrics_prompt"):
        if isinstance(body.get(name), str):
            return str(body[name])
    parts = body.get("multi_prompt")
    if isinstance(parts, list):
        return " / ".join(str(part.get("prompt")) for part in parts if isinstance(part, dict))
    return ""


def is_speech(model: Model) -> bool:
    """Return True for a speech model, whose responses by default contain hex digits instead of URLs."""
    return "/text-to-speech/" in model.api_path


def extras(model: Model, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return further top-level fields of a completed response."""
    if "/nano-banana" in model.api_path:
        return {"description": f"An image of: {prompt_of(body)}"}
    return {}


def speech_extras(body: Mapping[str, Any], audio_bytes: int) -> dict[str, Any]:
    """Return further top-level fields of completed speech."""
    prompt = prompt_of(body)
    return {
        "audio_length": 3000,
        "audio_size": audio_bytes,
        "usage_characters": len(prompt),
        "word_count": len(prompt.split()),
    }
