"""The command ``mulequeue emulator``, also run by ``python -m mulequeue.emulator``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from mulequeue.emulator.faults import Faults
from mulequeue.errors import ConfigurationError


@click.command("emulator")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8787, show_default=True, help="Port of the API; 0: a free port.")
@click.option(
    "--asset-port", default=0, show_default=True, help="Port of the asset host; 0: a free port."
)
@click.option(
    "--min-seconds", default=2.0, show_default=True, help="Shortest duration of a generation."
)
@click.option(
    "--max-seconds", default=5.0, show_default=True, help="Longest duration of a generation."
)
@click.option("--seed", type=int, help="Seed of the durations: equal inputs take equal times.")
@click.option("--require-key", metavar="KEY", help="Accept only this key. Default: any key.")
@click.option(
    "--scenario",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON file with the faults at start.",
)
def emulator_command(
    host: str,
    port: int,
    asset_port: int,
    min_seconds: float,
    max_seconds: float,
    seed: int | None,
    require_key: str | None,
    scenario: Path | None,
) -> None:
    """Run an emulator of the MuleRouter API: it answers like the API and costs nothing.

    It accepts any key and makes pictures, clips and melodies from the prompts. Set
    MULEROUTER_BASE_URL to the address that it prints.
    """
    from mulequeue.emulator.server import serve

    faults = _faults(scenario)
    try:
        serve(
            host,
            port,
            asset_port=asset_port,
            min_seconds=min_seconds,
            max_seconds=max_seconds,
            seed=seed,
            require_key=require_key,
            faults=faults,
            ready=lambda url: click.echo(f"mulequeue emulator on {url}"),
        )
    except ValueError as exc:
        raise click.UsageError(str(exc)) from None
    except ConfigurationError as exc:
        raise click.ClickException(str(exc)) from None
    except OSError as exc:
        raise click.ClickException(
            f"Cannot listen on {host} port {port}: {exc.strerror or exc}. "
            "Set another --port; 0 uses a free port."
        ) from None


def _faults(scenario: Path | None) -> Faults:
    if scenario is None:
        return Faults()
    try:
        return Faults.parse(json.loads(scenario.read_text("utf-8")))
    except ValueError as exc:
        raise click.BadParameter(f"{scenario}: {exc}", param_hint="--scenario") from None
