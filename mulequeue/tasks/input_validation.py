"""Validation of a task call: find the model and the input in its arguments, and validate them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_ASSET_PLACEHOLDER = "https://example.com/asset"


def validate_task_call(task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Validate the input of a call of ``generate`` or ``generate_from``.

    :raises InputError: the model is unknown, or the input is invalid.
    """
    found = _model_and_input(task.name, args, kwargs)
    if found is not None:
        from mulequeue.catalog.validation.calls import validate_call

        validate_call(task._get_app(), *found, validate=kwargs.get("validate"))


def _model_and_input(
    name: str, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Any, Any] | None:
    """Return model and input of a call, or None if the call is not complete yet."""
    if name == "mulequeue.adopt":
        return None
    is_chained = name == "mulequeue.generate_from"
    if is_chained and args and (len(args) > 2 or not isinstance(args[0], str)):
        args = args[1:]  # without the previous outcome, which a signature does not have yet
    given = dict(zip(("model", "input"), args, strict=False)) | dict(kwargs)
    model, input = given.get("model"), given.get("input")
    if model is None or input is None:
        return None
    if is_chained and isinstance(input, dict):
        from mulequeue.catalog.inputs import insert_asset

        input = insert_asset(input, str(kwargs.get("use", "image")), _ASSET_PLACEHOLDER)
    return model, input
