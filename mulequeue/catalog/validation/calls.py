"""What follows from a check: a refusal, a warning, or nothing, as ``mulequeue_validate`` says."""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mulequeue import catalog
from mulequeue.catalog import Model
from mulequeue.catalog.validation import Finding, check
from mulequeue.errors import ConfigurationError, InputError

logger = logging.getLogger("mulequeue")

MODES = ("strict", "warn", "off")
_ROWS_NAMED = 5
_MAX_REMEMBERED = 1000
_reported: set[tuple[str, str]] = set()

Warn = Callable[[str], None]


def mode_of(given: str | None, setting: str | None) -> str:
    """``strict``, ``warn`` or ``off``.

    :param given: of one call; None: the setting.
    :raises InputError: the call names no mode.
    :raises ConfigurationError: the setting does not.
    """
    mode = given or setting or MODES[0]
    if mode not in MODES:
        source = "validate" if given else "mulequeue_validate"
        near = difflib.get_close_matches(str(mode), MODES, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        text = f"{source} is {mode!r}; it must be 'strict', 'warn' or 'off'.{hint}"
        raise (InputError if given else ConfigurationError)(text)
    return str(mode)


def validate_input(
    model: Model, input: Mapping[str, Any], mode: str, *, warn: Warn | None = None
) -> None:
    """Raise for an input that the model does not take; tell what may be wrong.

    :param mode: ``strict``: what all sources agree on is refused; ``warn``: nothing is, but all is
        told; ``off``: nothing is looked at.
    :param warn: told each warning, once a process; None: the log.
    :raises InputError: names everything that is wrong, the nearest names, and what to do.
    """
    if mode != "off":
        certain = _report_findings(model, check(model, input), mode, warn)
        if certain:
            raise InputError(_error_text(model, certain))


def validate_inputs(
    model: Model,
    inputs: Sequence[Mapping[str, Any]],
    mode: str,
    *,
    row: Callable[[int], str],
    warn: Warn | None = None,
) -> None:
    """As :func:`validate_input` for the inputs of a batch: all of them, or none.

    :param row: how the input at an index is called.
    :raises InputError: names the first rows that are wrong, and how many there are.
    """
    if mode == "off":
        return
    wrong = []
    for index, item in enumerate(inputs):
        certain = _report_findings(model, check(model, item), mode, warn)
        if certain:
            wrong.append((index, certain))
    if wrong:
        lines = [f"{row(index)}: {_texts(found)}" for index, found in wrong[:_ROWS_NAMED]]
        more = len(wrong) - len(lines)
        rest = f" (and {more} more of {len(inputs)})" if more else ""
        raise InputError(f"{model.name}, {'; '.join(lines)}{rest}. {_hint(model)}")


def validate_call(app: Any, model: Any, input: Any, *, validate: str | None = None) -> None:
    """Check a call where it is made, before its message is sent.

    The configuration is not touched for an input that nothing is wrong with.

    :param app: the Celery app whose ``mulequeue_validate`` holds.
    :raises InputError: unknown model, or an input that it does not take.
    """
    if validate == "off":
        return
    found = _found(app, model, validate)
    if found is not None and check(found, input):
        validate_input(found, input, mode_of(validate, _setting(app)))


def validate_calls(
    app: Any, model: Any, inputs: Sequence[Any], *, validate: str | None = None
) -> None:
    """As :func:`validate_call` for many inputs: all of them, or none.

    :raises InputError: unknown model, or an input that it does not take (named by its index).
    """
    found = None if validate == "off" else _found(app, model, validate)
    if found is not None:
        mode = mode_of(validate, _setting(app))
        validate_inputs(found, inputs, mode, row=lambda index: f"inputs[{index}]")


def _found(app: Any, model: Any, validate: str | None) -> Model | None:
    try:
        return catalog.find(model)
    except InputError:
        if mode_of(validate, _setting(app)) != "off":
            raise
        return None


def _setting(app: Any) -> str | None:
    """As :meth:`mulequeue.settings.Settings.load` finds it, without reading all the others."""
    given = app.conf.get("mulequeue_validate") if app is not None else None
    return given or os.environ.get("MULEQUEUE_VALIDATE")


def _report_findings(
    model: Model, findings: Sequence[Finding], mode: str, warn: Warn | None
) -> list[Finding]:
    """The findings to refuse for; the others are told."""
    certain = [item for item in findings if item.is_certain and mode == "strict"]
    for item in findings:
        if item not in certain and (model.name, item.where) not in _reported:
            if len(_reported) >= _MAX_REMEMBERED:
                _reported.clear()
            _reported.add((model.name, item.where))
            _warn(model, item, warn)
    return certain


def _warn(model: Model, finding: Finding, warn: Warn | None) -> None:
    if warn is not None:
        warn(f"{model.name}: {finding.text}.")
    else:
        extra = {"model": model.name, "parameter": finding.where}
        logger.warning("an input may be wrong: %s: %s", model.name, finding.text, extra=extra)


def _error_text(model: Model, findings: Sequence[Finding]) -> str:
    return f"{model.name}: {_texts(findings)}. {_hint(model)}"


def _texts(findings: Sequence[Finding]) -> str:
    first, *others = dict.fromkeys(item.text for item in findings)
    return ". ".join([first, *(text[0].upper() + text[1:] for text in others)])


def _hint(model: Model) -> str:
    return (
        f"Nothing was sent. 'mulequeue models {model.name}' shows what it takes; "
        "validate='off' sends an input unchecked."
    )
