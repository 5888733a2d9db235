"""Default inputs of models: the setting ``mulequeue_defaults``. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mulequeue import catalog
from mulequeue.catalog.validation.names import unknown_name
from mulequeue.catalog.validation.values import wrong_value
from mulequeue.errors import ConfigurationError, InputError

_EXAMPLE = '{"alibaba/wan2.6-t2i": {"n": 1}}'


def check_defaults(defaults: Any) -> None:
    """Raise ConfigurationError for an unknown model or parameter, or a value that it does not take."""
    for name, model, fields in _entries(defaults):
        for key, value in fields.items():
            parameter = model.parameters.get(key)
            if parameter is None and not model.parameters:
                continue
            if parameter is None:
                text = unknown_name(key, model.parameters, model.rules.ignored, is_open=False).text
                raise ConfigurationError(f"mulequeue_defaults of {name!r}: {text}.")
            for finding in wrong_value(parameter, value, key):
                if finding.is_certain:
                    raise ConfigurationError(f"mulequeue_defaults of {name!r}: {finding.text}.")


def defaults_of(defaults: Any, model: catalog.Model) -> dict[str, Any]:
    """Return the default input of a model.

    :param defaults: the setting ``mulequeue_defaults``.
    :raises ConfigurationError: it has the wrong shape, or a model of it is unknown.
    """
    found: dict[str, Any] = {}
    for _, other, fields in _entries(defaults):
        if other.api_path == model.api_path:
            found |= fields
    return found


def with_defaults(defaults: Any, model: catalog.Model, input: Any) -> Any:
    """Return an input with the defaults of its model in place of the fields that it lacks.

    A field that is None is not lacking, so it keeps a default out.
    """
    if not defaults or not isinstance(input, dict):
        return input
    return {**defaults_of(defaults, model), **input}


def _entries(defaults: Any) -> list[tuple[str, catalog.Model, Mapping[str, Any]]]:
    if not isinstance(defaults, Mapping):
        raise ConfigurationError(f"mulequeue_defaults must be a dictionary like {_EXAMPLE}.")
    found = []
    for name, fields in defaults.items():
        if not isinstance(fields, Mapping):
            raise ConfigurationError(
                f"mulequeue_defaults of {name!r} must be a dictionary of parameters, like {_EXAMPLE}."
            )
        try:
            found.append((str(name), catalog.find(name), fields))
        except InputError as exc:
            raise ConfigurationError(f"mulequeue_defaults: {exc}") from None
    return found
