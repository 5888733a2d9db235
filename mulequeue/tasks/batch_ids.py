"""Task ids of the members of a batch. Each depends only on the id of the batch and the index of the member.

A batch that is enqueued twice therefore has the same task ids, and each generation is billed once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mulequeue.ledger import Batch

MEMBER_DIGITS = 6


def member_id(batch_id: str, index: int) -> str:
    """Return the task id of the generation of ``inputs[index]``."""
    return f"{batch_id}-{index:0{MEMBER_DIGITS}d}"


def split_member_id(task_id: str) -> tuple[str, int] | None:
    """Return the batch id and index if a task id has the form of :func:`member_id`, else None."""
    batch_id, _, index = task_id.rpartition("-")
    is_member = batch_id and len(index) >= MEMBER_DIGITS and index.isdecimal()
    return (batch_id, int(index)) if is_member else None


def files_id(task_id: str) -> str:
    """Return the task id of the download of a member."""
    return f"{task_id}-files"


def batch_task_ids(batch: Batch) -> list[str]:
    """Return the ids that the task of a batch may have, unless its caller chose another one."""
    return [batch.batch_id, *([f"{batch.batch_id}-{batch.digest[:8]}"] if batch.digest else ())]


def member_ids(batch: Batch) -> list[str]:
    """Return the task ids of all members, in the order of the inputs."""
    return [member_id(batch.batch_id, index) for index in range(batch.size)]
