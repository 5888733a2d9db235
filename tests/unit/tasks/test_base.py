"""What the message of a task says of its arguments."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery

CALL = ("alibaba/wan2.6-t2i", {"prompt": "a mule", "n": 1})


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({}, ("alibaba/wan2.6-t2i: a mule", "")),
        ({"argsrepr": "a picture"}, ("a picture", "")),
        ({"argsrepr": "", "kwargsrepr": "hidden"}, ("", "hidden")),
    ],
)
def test_a_caller_may_hide_the_prompt(options: dict[str, Any], shown: tuple[str, str]) -> None:
    """A text of the caller's own replaces the line that Flower shows, also an empty one."""
    app = Celery("hiding", broker="memory://", set_as_current=False)
    app.finalize()

    app.tasks["mulequeue.generate"].apply_async(CALL, queue="hidden", **options)

    with app.connection() as connection, connection.SimpleQueue("hidden") as queue:
        headers = queue.get(timeout=5).headers
    app.close()
    assert shown == (headers["argsrepr"], headers["kwargsrepr"])
