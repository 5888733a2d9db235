"""Flower options for generations: ``from mulequeue.ops.flower import *`` in ``flowerconfig.py``.

Flower loads ``flowerconfig.py`` from the working directory. Every public name in that file must be a
Flower option, so this module exports nothing else. Flower's JSON API and metrics need no options: the
tasks send readable arguments and results themselves (:mod:`mulequeue.engine.display`).
"""

__all__ = ["format_task", "tasks_columns"]

from mulequeue.engine.display import format_result as _format_result
from mulequeue.engine.display import is_ours as _is_ours

# No worker and no runtime: a parked generation has no worker, and Celery times only its last step.
tasks_columns = "name,state,args,result,received,uuid"


def format_task(task):  # type: ignore[no-untyped-def]  # Flower requires a plain function
    """Format a task for Flower's pages.

    A process without mulequeue can send a task by name. Such a message has raw arguments until a
    worker receives it, so they are hidden.
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
