"""``mulequeue models``."""

from __future__ import annotations

import json

from click.testing import CliRunner

from mulequeue import catalog
from mulequeue.cli import mulequeue


def run(*arguments: str) -> str:
    result = CliRunner().invoke(mulequeue, ["models", *arguments])
    assert 0 == result.exit_code, result.stderr
    return result.stdout


def test_every_model_has_a_line() -> None:
    """One line a model, its name first."""
    names = [line.split()[0] for line in run().splitlines()]

    assert [model.name for model in catalog.all_models()] == names


def test_models_of_one_kind() -> None:
    """--kind leaves out the others."""
    kinds = {model["kind"] for model in json.loads(run("--kind", "video", "--json"))}

    assert {"video"} == kinds


def test_one_model_is_told_with_its_path() -> None:
    """NAME shows where it is created, and a line to try."""
    text = run("alibaba/wan2.6-t2i")

    assert "/vendors/alibaba/v1/wan2.6-t2i/generation" in text
    assert 'mulequeue run alibaba/wan2.6-t2i "a mule at dawn"' in text
