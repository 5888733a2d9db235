"""What ``mulequeue dev`` shows of its processes' logs."""

from __future__ import annotations

import pytest

from mulequeue.local.dev import clean_line


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("[2026-01-01 20:45:33,777: INFO/MainProcess] worker@x ready.\n", "worker@x ready."),
        ("[2026-01-01 20:45:33,777: INFO/MainProcess] Task mulequeue.poll[a-b] received", ""),
        (
            "[2026-01-01 20:45:33,937: INFO/ForkPoolWorker-2] Task mulequeue.download[a-b] "
            "succeeded in 0.05302886599974954s: {'files': ['x']}",
            "Task mulequeue.download[a-b] succeeded in 0.053 s",
        ),
        ("[2026-01-01 20:45:33,937: ERROR/MainProcess] lost it: why", "ERROR lost it: why"),
        ("    raise Trouble\n", "    raise Trouble"),
    ],
)
def test_a_log_line_is_short_and_loses_no_warning(line: str, shown: str) -> None:
    """Time, process and results go; the level stays unless it is INFO."""
    assert shown == clean_line(line)
