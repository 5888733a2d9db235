"""``mulequeue models``."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click

from mulequeue import catalog
from mulequeue.catalog import Model


@click.command("models")
@click.argument("name", required=False)
@click.option("--kind", type=click.Choice(["image", "video", "audio"]), help="Only these.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array (of NAME: object).")
def models_command(name: str | None, kind: str | None, as_json: bool) -> None:
    """List the models, or show how NAME is called and waited for."""
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
    else:
        _details(model)


def _data(model: Model) -> dict[str, Any]:
    return asdict(model)


def _table(models: list[Model]) -> None:
    width = max((len(model.name) for model in models), default=0)
    for model in models:
        needs = ", ".join(model.required) or "see its page"
        click.echo(f"{model.name:<{width}}  {model.kind or '?':<5}  {needs}")


def _details(model: Model) -> None:
    plan = model.schedule
    rows = {
        "name": model.name,
        "path": model.api_path,
        "makes": model.kind or "unknown: the catalog does not list this path",
        "needs": ", ".join(model.required) or "depends; see the model's page",
        "checked": f"first after {plan.first:g} s, then up to every {plan.ceiling:g} s",
        "given up": f"after {model.max_wait_seconds:g} s",
        "files last": f"{model.retention_seconds / 3600:g} h at the API's host",
        "try": f'mulequeue run {model.name} "a mule at dawn"',
    }
    for key, value in rows.items():
        click.echo(f"{key:<10}  {value}")
