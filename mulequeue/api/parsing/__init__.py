"""Parse the API's JSON into mulequeue's types. No I/O; only this package knows the API's field names.

The API's documentation and its responses differ in status words, in the place of an error, in the
name of the id and in the key of the result. All variants seen so far are supported::

    json_body      invalid Unicode              read_json(bytes) -> decoded JSON
                   ids in damaged responses     find_task(body) -> decoded JSON
    task_reply     status words and ids         read_task(decoded JSON) -> TaskReply
    assets         result keys, URLs            find_assets(decoded JSON, kind) -> key, kind, URLs
    http_error     HTTP errors, Retry-After     read_error(status, headers, body) -> ErrorInfo
"""

from mulequeue.api.parsing.http_error import is_gone, read_error, retry_after_seconds
from mulequeue.api.parsing.json_body import find_task, read_json
from mulequeue.api.parsing.task_reply import TaskReply, WireError, is_known_status, read_task

__all__ = [
    "TaskReply",
    "WireError",
    "find_task",
    "is_gone",
    "is_known_status",
    "read_error",
    "read_json",
    "read_task",
    "retry_after_seconds",
]
