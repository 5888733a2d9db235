"""Flower options for generations: ``from mulequeue.ops.flower import *`` in ``flowerconfig.py``.

Flower loads ``flowerconfig.py`` from the working directory. Every public name in that file must be a
Flower option, so this module exports nothing else. Flower's JSON API and metrics need no options: the
tasks send readable arguments and results themselves (:mod:`mulequeue.engine.display`).
"""

__all__ = ["format_task", "tasks_columns"]

from mulequeue.engine.display import format_result as _format_result
from mulequeue.engine.display import is_ours as _is_ours

# Without the columns worker and runtime: no worker holds a parked task, and Celery times only its last step.
tasks_columns = "name,state,args,result,received,uuid"


def format_task(task):  # type: ignore[no-untyped-def]  # Flower requires a plain function
    """Format a task for Flower's pages.

    A process without mulequeue can send a task by name. Until a worker receives that message, Flower has its
    raw arguments, so they are hidden.
    """
    if not (task.name or "").startswith("mulequeue."):
        return task
    if task.args and not _is_ours(task.args):
        task.args = "…"
    if task.kwargs and not _is_ours(task.kwargs):
        task.kwargs = "…"
    if task.result and len(task.result.split()) > 1:
        task.result = _format_result(task.result)
    return task
