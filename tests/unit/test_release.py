"""The release step and the README that it changes."""

from __future__ import annotations

import sys

import pytest
from support.pages import DOCS

sys.path.append(str(DOCS.parent))

from tools.release import README, released


def test_the_day_of_the_release_changes_one_block() -> None:
    """The released README installs from the index, and keeps all other lines."""
    before = README.read_text("utf-8")

    after = released(before)

    assert 'pip install "mulequeue[demo]" && mulequeue demo' in after
    assert "not on a package index yet" not in after
    assert before.split("<!-- /install -->")[1].strip() == after.split("```", 2)[2].strip()


def test_a_second_release_step_is_an_error() -> None:
    """A README without the block is left alone."""
    with pytest.raises(ValueError, match="one block"):
        released(released(README.read_text("utf-8")))
