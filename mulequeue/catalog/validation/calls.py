"""Validate calls: raise, warn or accept, according to ``validate`` or the setting ``mulequeue_validate``."""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mulequeue import catalog
from mulequeue.catalog import Model
from mulequeue.catalog.defaults import with_defaults
from mulequeue.catalog.validation import Finding, check
from mulequeue.errors import ConfigurationError, InputError

logger = logging.getLogger("mulequeue")

MODES = ("strict", "warn", "off")
_MAX_ROWS_LISTED = 5
_MAX_REMEMBERED = 1000
_warned: set[tuple[str, str]] = set()

Warn = Callable[[str], None]


def mode_of(given: str | None, setting: str | None) -> str:
    """Return the validation mode: ``strict``, ``warn`` or ``off``.

    :param given: the argument ``validate`` of a call; None: the setting decides.
    :param setting: the setting; None: ``strict``.
    :raises InputError: the argument is not a mode.
    :raises ConfigurationError: the setting is not a mode.
    """
    mode = given or setting or MODES[0]
    if mode not in MODES:
        start = f"validate is {mode!r}; it" if given else "mulequeue_validate"
        near = difflib.get_close_matches(str(mode), MODES, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        text = f"{start} must be 'strict', 'warn' or 'off'.{hint}"
        raise (InputError if given else ConfigurationError)(text)
    return str(mode)


def validate_input(
    model: Model, input: Mapping[str, Any], mode: str, *, warn: Warn | None = None
) -> None:
    """Validate one input as :func:`validate_inputs` does."""
    validate_inputs(model, [input], mode, warn=warn)


def validate_inputs(
    model: Model,
    inputs: Sequence[Mapping[str, Any]],
    mode: str,
    *,
    row: Callable[[int], str] | None = None,
    warn: Warn | None = None,
) -> None:
    """Raise if one of the inputs is invalid, and warn about doubtful ones.

    :param mode: ``strict``: raise for certain findings, warn about the others; ``warn``: warn about all
        findings; ``off``: skip the validation.
    :param row: returns the name of the input at an index, for the text.
    :param warn: called with the text of each warning; None: write the warning to the log. A parameter of a model
        is warned about once per process.
    :raises InputError: an input is invalid. The text lists the errors of the first five invalid inputs, similar
        names, and what to do.
    """
    if mode == "off":
        return
    invalid = []
    for index, item in enumerate(inputs):
        errors = _report_findings(model, check(model, item), mode, warn)
        if errors:
            invalid.append(f"{row(index)}: {_texts(errors)}" if row else _texts(errors))
    if invalid:
        more = len(invalid) - _MAX_ROWS_LISTED
        rest = f" (and {more} more of {len(inputs)})" if more > 0 else ""
        raise InputError(
            f"{model.name}{', ' if row else ': '}{'; '.join(invalid[:_MAX_ROWS_LISTED])}{rest}. "
            f"Nothing was sent. 'mulequeue models {model.name}' lists its parameters; "
            "validate='off' sends an input unchecked."
        )


def validate_call(app: Any, model: Any, input: Any, *, validate: str | None = None) -> None:
    """Validate a call in the process that makes it, before the message is sent.

    The app's configuration is not loaded for a valid input of a known model.

    :raises InputError: the model is unknown, the input is invalid, or ``validate`` is not a mode.
    """
    if validate == "off":
        return
    found = _find(app, model, validate)
    if found is not None and check(found, input):
        whole = with_defaults(app.conf.get("mulequeue_defaults"), found, input) if app else input
        validate_input(found, whole, mode_of(validate, _setting(app)))


def validate_calls(
    app: Any, model: Any, inputs: Sequence[Any], *, validate: str | None = None
) -> None:
    """Validate many inputs, and accept all of them or none. The caller has added the defaults.

    :raises InputError: the model is unknown, or an input is invalid (the text has its index).
    """
    found = None if validate == "off" else _find(app, model, validate)
    if found is not None:
        mode = mode_of(validate, _setting(app))
        validate_inputs(found, inputs, mode, row=lambda index: f"inputs[{index}]")


def _find(app: Any, model: Any, validate: str | None) -> Model | None:
    try:
        return catalog.find(model)
    except InputError:
        if mode_of(validate, _setting(app)) != "off":
            raise
        return None


def _setting(app: Any) -> str | None:
    """Return ``mulequeue_validate`` of the app or the environment, without reading the other settings."""
    given = app.conf.get("mulequeue_validate") if app is not None else None
    return given or os.environ.get("MULEQUEUE_VALIDATE")


def _report_findings(
    model: Model, findings: Sequence[Finding], mode: str, warn: Warn | None
) -> list[Finding]:
    """Return the findings that are errors in this mode, and warn about the others."""
    errors = [item for item in findings if item.is_certain and mode == "strict"]
    for item in findings:
        if item not in errors and (model.name, item.where) not in _warned:
            if len(_warned) >= _MAX_REMEMBERED:
                _warned.clear()
            _warned.add((model.name, item.where))
            _warn(model, item, warn)
    return errors


def _warn(model: Model, finding: Finding, warn: Warn | None) -> None:
    if warn is not None:
        warn(f"{model.name}: {finding.text}.")
    else:
        extra = {"model": model.name, "parameter": finding.where}
        logger.warning("an input may be wrong: %s: %s", model.name, finding.text, extra=extra)


def _texts(findings: Sequence[Finding]) -> str:
    first, *others = dict.fromkeys(item.text for item in findings)
    return ". ".join([first, *(text[0].upper() + text[1:] for text in others)])
