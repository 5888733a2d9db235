"""The next tasks of a generation's chain, as its row keeps them."""

from __future__ import annotations

from typing import Any

_KEPT_OPTIONS = ("queue", "exchange", "routing_key", "priority", "shadow", "ignore_result")


def following_of(task: Any) -> list[dict[str, Any]]:
    """Return the tasks that follow the running task in its chain, in their order, as JSON."""
    steps = reversed(task.request.chain or [])
    return [
        {
            "task": step["task"],
            "args": list(step["args"]),
            "kwargs": dict(step["kwargs"]),
            "options": {k: v for k, v in step["options"].items() if k in _KEPT_OPTIONS},
        }
        for step in steps
        if not step.get("subtask_type")
    ]
