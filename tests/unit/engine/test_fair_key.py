"""What a fair key may be."""

from __future__ import annotations

from typing import Any

import pytest

from mulequeue.engine.generation_call import MAX_FAIR_KEY_BYTES, check_fair_key
from mulequeue.errors import InputError


@pytest.mark.parametrize("value", ["7", "customer:7", "Ä & Söhne", "x" * MAX_FAIR_KEY_BYTES, None])
def test_short_texts_are_accepted(value: str | None) -> None:
    """A printable text of at most 64 bytes is returned unchanged, and so is None."""
    assert value == check_fair_key(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", "printable text of 1 to 64 bytes"),
        ("  ", "printable text of 1 to 64 bytes"),
        ("x" * (MAX_FAIR_KEY_BYTES + 1), "printable text of 1 to 64 bytes"),
        ("ä" * 33, "printable text of 1 to 64 bytes"),
        ("a\tb", "printable text of 1 to 64 bytes"),
        ("a\nb", "printable text of 1 to 64 bytes"),
        ("\x00", "printable text of 1 to 64 bytes"),
        ("\ud800", "printable text of 1 to 64 bytes"),
        (7, r"of type int; .* fair_key=str\(…\)"),
        (b"7", "of type bytes"),
        (["7"], "of type list"),
    ],
)
def test_anything_else_is_refused(value: Any, text: str) -> None:
    """The error says what a fair key may be."""
    with pytest.raises(InputError, match=text):
        check_fair_key(value)
