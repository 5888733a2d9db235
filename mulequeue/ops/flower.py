"""Flower, set up for generations: ``from mulequeue.ops.flower import *`` in ``flowerconfig.py``.

Flower reads a ``flowerconfig.py`` in the working directory by itself. Every name in it is an
option of Flower's, so nothing else stands here. What its JSON API and its metrics show needs no
configuration: the tasks send readable lines by themselves (:mod:`mulequeue.engine.display`).
"""

__all__ = ["format_task", "tasks_columns"]

from mulequeue.engine.display import format_result as _shown_result
from mulequeue.engine.display import is_ours as _is_ours

# No worker and no runtime: a generation that runs is with no worker, and Celery times its last step.
tasks_columns = "name,state,args,result,received,uuid"


def format_task(task):  # type: ignore[no-untyped-def]  # it has to be a plain function
    """A task as Flower's pages show it.

    What was sent by name, from a process that does not load mulequeue, waits in its queue with the
    arguments as Celery wrote them: they stay unsaid.
    """
    if not (task.name or "").startswith("mulequeue."):
        return task
    if task.args and not _is_ours(task.args):
        task.args = "…"
    if task.kwargs and not _is_ours(task.kwargs):
        task.kwargs = "…"
    if task.result and len(task.result.split()) > 1:
        task.result = _shown_result(task.result)
    return task
