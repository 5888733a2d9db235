"""Validate the body of a create by the rules of its model. The API does so before it checks the key."""

from __future__ import annotations

from typing import Any

from mulequeue.catalog import Model
from mulequeue.emulator.body_fields import UnknownFields, parameters_of
from mulequeue.emulator.quirks import required_fields

_LISTS = frozenset({"images", "video_urls", "obj_or_bg", "reference_images"})
_MAX_IMAGES = 6


def validate_body(
    model: Model, body: Any, unknown_fields: UnknownFields = "by_model"
) -> str | None:
    """Return the API's error text for an invalid body, or None for a valid one.

    The wording follows errors captured from the API:
    ``Invalid parameters: 'image' expected to be provided, got None``.

    :param unknown_fields: ``ignored`` or ``rejected`` for all models, or ``by_model``.
    """
    if not isinstance(body, dict):
        return "Invalid parameters: body expected Input should be a valid dictionary or object"
    wrong = [_field(name, body.get(name)) for name in required_fields(model)]
    wrong.append(_prompt(body))
    wrong.append(_count(body.get("n")))
    wrong += parameters_of(model).violations(body, unknown_fields)
    texts = list(dict.fromkeys(text for text in wrong if text))
    return "Invalid parameters: " + "; ".join(texts) if texts else None


def _field(name: str, value: Any) -> str | None:
    if value is None:
        return f"'{name}' expected to be provided, got None"
    kind, word = (list, "list") if name in _LISTS else (str, "string")
    if not isinstance(value, kind):
        return f"'{name}' expected Input should be a valid {word}, got {value!r}"
    if not value:
        unit = "item" if kind is list else "character"
        return f"'{name}' expected {word} should have at least 1 {unit}, got {value!r}"
    return None


def _prompt(body: dict[str, Any]) -> str | None:
    return _field("prompt", body["prompt"]) if body.get("prompt") is not None else None


def _count(n: Any) -> str | None:
    if n is None or (isinstance(n, int) and not isinstance(n, bool) and 1 <= n <= _MAX_IMAGES):
        return None
    return f"'n' expected Input should be between 1 and {_MAX_IMAGES}, got {n!r}"
