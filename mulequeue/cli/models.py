"""``mulequeue models``."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any

import click

from mulequeue import catalog
from mulequeue.catalog import Model, Parameter
from mulequeue.cli.options import complete_model


@click.command("models")
@click.argument("name", required=False, shell_complete=complete_model)
@click.option("--kind", type=click.Choice(["image", "video", "audio"]), help="Show only this kind.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array (of NAME: object).")
def models_command(name: str | None, kind: str | None, as_json: bool) -> None:
    """List the models and the parameters they require, or show all parameters of NAME."""
    if name is None:
        models = [model for model in catalog.all_models() if kind in (None, model.kind)]
        if as_json:
            click.echo(json.dumps([_data(model) for model in models], indent=2))
        else:
            _table(models)
        return
    model = catalog.find(name)
    if as_json:
        click.echo(json.dumps(_data(model), indent=2))
        return
    from mulequeue.cli.model_page import page

    for line in page(model):
        click.echo(line)


def _data(model: Model) -> dict[str, Any]:
    """Return a model as JSON; ``Infinity``, which JSON lacks, becomes null."""
    data: dict[str, Any] = _plain(model)
    data["parameters"] = [_parameter(item) for item in model.parameters.values()]
    return data


def _parameter(parameter: Parameter) -> dict[str, Any]:
    """Return a parameter as JSON, without the fields that have their default."""
    always = ("name", "type", "is_list", "is_required")
    default = Parameter(name="")
    data = {
        key: _plain(getattr(parameter, key))
        for key in (item.name for item in dataclasses.fields(Parameter))
        if key in always or getattr(parameter, key) != getattr(default, key)
    }
    if parameter.fields:
        data["fields"] = [_parameter(item) for item in parameter.fields.values()]
    return data


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        names = (item.name for item in dataclasses.fields(value))
        return {name: _plain(getattr(value, name)) for name in names if name != "parameters"}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and math.isinf(value) else value


def _table(models: list[Model]) -> None:
    width = max((len(model.name) for model in models), default=0)
    for model in models:
        needs = ", ".join(model.required) or "one of several"
        click.echo(f"{model.name:<{width}}  {model.kind or '?':<5}  {needs}".rstrip())
