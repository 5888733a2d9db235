"""Default inputs of models: the setting ``mulequeue_defaults``. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mulequeue import catalog
from mulequeue.catalog.validation.finding import unknown_name
from mulequeue.catalog.validation.values import wrong_value
from mulequeue.errors import ConfigurationError

_EXAMPLE = '{"alibaba/wan2.6-t2i": {"n": 1}}'


def check_defaults(defaults: Any) -> None:
    """Raise ConfigurationError for an unknown model or parameter, or a value that all sources reject."""
    for name, model, fields in _entries(defaults):
        for key, value in fields.items():
            parameter = model.parameters.get(key)
            if not model.parameters:
                continue
            found = (
                wrong_value(parameter, value, key)
                if parameter is not None
                else [unknown_name(key, model.parameters, model.rules.ignored, is_open=False)]
            )
            for finding in found:
                if finding.is_certain:
                    raise ConfigurationError(f"mulequeue_defaults of {name!r}: {finding.text}.")


def defaults_of(defaults: Any, model: catalog.Model) -> dict[str, Any]:
    """Return the default input of a model.

    :param defaults: value of the setting.
    :raises ConfigurationError: ``defaults`` is not a dictionary of dictionaries, or names an unknown model.
    """
    own = (fields for _, other, fields in _entries(defaults) if other == model)
    return {key: value for fields in own for key, value in fields.items()}


def with_defaults(defaults: Any, model: catalog.Model, input: Any) -> Any:
    """Return an input to which the defaults of its model were added for missing fields.

    A field with the value None is not missing, so its default is not used.
    """
    if not defaults or not isinstance(input, dict):
        return input
    return {**defaults_of(defaults, model), **input}


def _entries(defaults: Any) -> Iterator[tuple[str, catalog.Model, Mapping[str, Any]]]:
    for name, model, fields in catalog.models_in("mulequeue_defaults", defaults):
        if not isinstance(fields, Mapping):
            raise ConfigurationError(
                f"mulequeue_defaults of {name!r} must be a dictionary of parameters, like {_EXAMPLE}."
            )
        yield name, model, fields
