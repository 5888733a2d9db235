"""``mulequeue models``."""

from __future__ import annotations

import json
import shlex

import pytest
from click.testing import CliRunner
from support.pages import blocks

from mulequeue import catalog
from mulequeue.catalog import Model
from mulequeue.catalog.validation import check
from mulequeue.cli import mulequeue
from mulequeue.cli.models import page
from mulequeue.cli.values import parse_params

every_model = pytest.mark.parametrize("model", catalog.all_models(), ids=lambda model: model.name)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(mulequeue, ["models", *arguments])
    assert 0 == result.exit_code, result.stderr
    return result.stdout


def test_every_model_has_a_line() -> None:
    """One line per model, its name first."""
    names = [line.split()[0] for line in run().splitlines()]

    assert [model.name for model in catalog.all_models()] == names


def test_models_of_one_kind() -> None:
    """--kind leaves out the others."""
    kinds = {model["kind"] for model in json.loads(run("--kind", "video", "--json"))}

    assert {"video"} == kinds


def test_one_model_is_shown_with_its_path() -> None:
    """NAME shows the path, the poll schedule, and a command to try."""
    text = run("google/veo-3.1-fast")

    assert "/vendors/google/v1/veo-3.1-fast/generation" in text
    assert "first after 5.5 s, then 1.25 times the previous wait, up to 9 s" in text
    assert "after 1 h" in text
    assert "48 h at the API's host" in text
    assert 'mulequeue run google/veo-3.1-fast "a mule at dawn"' in text


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("alibaba/wan2.6-t2i", "prompt*          text, at most 2000 characters"),
        ("alibaba/wan2.6-t2i", "pixels of 768*768 to 1440*1440, width by height 0.25 to 4"),
        ("alibaba/wan2.6-t2v", "duration         whole number: 5, 10, 15; default 5"),
        ("alibaba/wan2.6-t2v", "ignored     resolution (use size)"),
        ("openai/sora-2", 'text: "4", "8", "12"; text, not a number'),
        ("openai/gpt-image-2/edit", "images*   list of files (URL, data URI)"),
        ("minimax/speech-2.8-hd/text-to-speech", "voice_setting.pitch        whole number, -12 to"),
        ("bytedance/seedance-2.0/text-to-video", "whole number, -1 or 4 to 15"),
        ("alibaba/wan2.6-i2v", "left out: one official client calls it required"),
        ("google/veo-3.1", "resolution 1080p or 4k needs duration 8"),
        ("alibaba/wan2.6-r2v", "others      may exist"),
        ("/vendors/acme/v1/dream-9/generation", "so no input is checked"),
    ],
)
def test_parameters_are_shown(name: str, line: str) -> None:
    """Type, allowed values, limits, defaults and what the sources differ about; in a pipe, a
    parameter is one line."""
    assert line in run(name)


@every_model
def test_the_line_to_try_is_accepted(model: Model) -> None:
    """The example is valid input."""
    [line] = [line for line in page(model, ()) if line.startswith("try ")]
    words = shlex.split(line)[4:]
    given = parse_params(word for word in words if "=" in word)
    if words and words[0] == "a mule at dawn":
        given[model.prompt_field] = words[0]

    assert [] == [finding.text for finding in check(model, given) if finding.is_certain]


@every_model
def test_json_says_it_all(model: Model) -> None:
    """Strict JSON (no Infinity), with every parameter and its required ones first."""

    def refuse(word: str) -> None:
        raise AssertionError(word)

    data = json.loads(run(model.name, "--json"), parse_constant=refuse)

    assert list(model.parameters) == [item["name"] for item in data["parameters"]]
    assert set(model.required) == {
        item["name"] for item in data["parameters"] if item["is_required"]
    }
    assert {"first", "factor", "ceiling"} <= set(data["schedule"])


def test_the_page_of_the_documentation_shows_what_is_shown() -> None:
    """The example on the page is the beginning of the command's output."""
    [shown, *_] = [block for block in blocks("howto/parameters.md") if block.language == "text"]

    assert run("alibaba/wan2.6-t2v").startswith(shown.text.removesuffix("…\n"))


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    """Exit code 1 and the names that may be meant."""
    result = CliRunner().invoke(mulequeue, ["models", "google/nano-banan"])

    assert (1, "") == (result.exit_code, result.stdout)
    assert "Did you mean google/nano-banana" in result.stderr
