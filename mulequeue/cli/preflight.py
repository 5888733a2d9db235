"""What is checked before anything is enqueued or sent."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from mulequeue.catalog import Model
from mulequeue.catalog.inputs import check_input
from mulequeue.catalog.validation.calls import mode_of, validate_input, validate_inputs
from mulequeue.cli.output import print_message
from mulequeue.errors import ConfigurationError, InputError
from mulequeue.settings import Settings

_PLACES = "://"


def check_inputs(
    inputs: Sequence[dict[str, Any]],
    settings: Settings,
    model: Model,
    *,
    warnings: list[str],
    validate: str | None = None,
    where: str = "",
) -> None:
    """Raise InputError for inputs that could not be sent, or that the model does not take.

    :param warnings: gets what may be wrong, to be told when nothing else is.
    :param validate: as it was typed; None: the setting.
    :param where: what the inputs are called, for example the file they are from.
    """
    mode = mode_of(validate, settings.validate)
    for number, item in enumerate(inputs, 1):
        try:
            check_input(item, settings.input_roots, max_bytes=settings.input_max_bytes)
        except InputError as exc:
            if not where:
                raise
            raise InputError(f"{where}, prompt {number}: {exc}") from None
    if len(inputs) == 1 and not where:
        validate_input(model, inputs[0], mode, warn=warnings.append)
        return
    prefix = f"{where}, " if where else ""
    validate_inputs(
        model,
        inputs,
        mode,
        row=lambda index: f"{prefix}prompt {index + 1}",
        warn=warnings.append,
    )


def print_warnings(warnings: list[str]) -> None:
    """On standard error, a line each."""
    for text in warnings:
        print_message(f"Warning: {text}")


def check_number(name: str, value: float | None) -> None:
    """Raise InputError unless a number of seconds is above 0 (or not given)."""
    if value is not None and not 0 < value < float("inf"):
        raise InputError(f"{name} is {value:g}; it must be a number of seconds above 0.")


def storage_of(output: str | None, settings: Settings) -> str:
    """Where the files go, as an absolute path or a URL.

    :raises ConfigurationError: it cannot be written there.
    """
    from mulequeue.transfer.storage import check_storage

    place = output or settings.storage
    if _PLACES not in place:
        place = os.path.abspath(os.path.expanduser(place))
    same = place.partition(_PLACES)[0] == settings.storage.partition(_PLACES)[0]
    check_storage(place, settings.storage_options if same else {})
    return place


def check_notification(target: str | None, settings: Settings) -> None:
    """Raise ConfigurationError for a target that notifications may not go to."""
    if target is not None:
        from mulequeue.transfer.notifications import check_secret, check_target

        check_target(target, settings)
        try:
            check_secret(settings)
        except ConfigurationError as exc:  # it is the workers that need it
            print_message(
                f"warning: not in this environment, so see that the workers have it: {exc}"
            )
