"""The API's words, read into ours. Pure; the only package that knows how the API spells things.

The API's pages and its live answers disagree on status words, on the place of an error, on the name
of the id and on the key of the result, so every variant that was seen is read::

    task      status words and ids       read_task(decoded JSON) -> TaskReply
    assets    result keys, URLs
    refusal   HTTP errors, Retry-After   read_error(status, headers, body) -> ErrorInfo
    reason    code, title and detail of an error, wherever it stands
"""

from mulequeue.api.parsing.http_error import is_gone, read_error, retry_after_seconds
from mulequeue.api.parsing.task_reply import TaskReply, WireError, is_known_status, read_task

__all__ = [
    "TaskReply",
    "WireError",
    "is_gone",
    "is_known_status",
    "read_error",
    "read_task",
    "retry_after_seconds",
]
