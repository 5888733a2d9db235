"""What a shell may offer for an argument, besides what click knows by itself."""

from __future__ import annotations

import click


def models(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of the catalog that start like this."""
    from mulequeue import catalog

    return [model.name for model in catalog.all_models() if model.name.startswith(incomplete)]
