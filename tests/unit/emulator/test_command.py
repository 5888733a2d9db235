"""The command's options, as far as they are refused before anything starts."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from mulequeue.emulator.command import emulator_command


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"vocabulry": "A"}', "no key 'vocabulry'. Known: vocabulary"),
        ("{", "Expecting property name"),
        ('["A"]', "must be a JSON object"),
    ],
)
def test_a_wrong_scenario_is_refused_with_its_reason(tmp_path, content, words):
    """The file is named, and what is wrong in it."""
    file = tmp_path / "scenario.json"
    file.write_text(content)

    result = CliRunner().invoke(emulator_command, ["--port", "0", "--scenario", str(file)])

    assert 2 == result.exit_code
    assert "scenario.json" in " ".join(result.output.split())
    assert words in " ".join(result.output.split())


def test_a_range_upside_down_is_a_usage_error():
    """The option is named."""
    result = CliRunner().invoke(
        emulator_command, ["--port", "0", "--min-seconds", "3", "--max-seconds", "1"]
    )

    assert 2 == result.exit_code
    assert "min_seconds" in result.output


def test_a_missing_scenario_is_a_usage_error():
    """Nothing starts without the file."""
    result = CliRunner().invoke(emulator_command, ["--scenario", "nowhere.json"])

    assert 2 == result.exit_code
    assert "nowhere.json" in result.output
