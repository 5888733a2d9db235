"""What strangers wrote, on an operator's terminal."""

from __future__ import annotations

from mulequeue.cli.error_line import one_line


def test_nothing_moves_the_terminal() -> None:
    """Escapes and bells of a prompt come out as blanks; letters of any script stay."""
    assert "a ]0;mule [31m märchen 夕暮れ" == one_line("a \x1b]0;mule\x07\x1b[31m märchen\n夕暮れ")
