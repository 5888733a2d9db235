"""Answers as the API sends them, for the tests that read one.

The API's documentation and its real answers disagree in seventeen places. Each has tests named
``test_row_NN_…``, as far as it concerns the reading of an answer, a host or a path; rows 12 and 14,
about the official command line and the balance, leave nothing to read.
"""

from __future__ import annotations

import json
from typing import Any

from mulequeue.api.parsing import read_error
from mulequeue.outcome import ErrorInfo

ID = "0f8f9c1e-5f0e-4a3b-9d59-0f6f0b6a7c11"
URL = "https://mulerouter.muleusercontent.com/public/4a1d/video.mp4"


def envelope(status: str | None = "completed", **fields: Any) -> dict[str, Any]:
    """An answer with that status word in ``task_info``, and the other fields beside it."""
    info = {"id": ID, "status": status, "created_at": "2026-09-21T08:23:12Z"}
    if status is None:
        del info["status"]
    return {"task_info": info, **fields}


def problem(status_code: int, body: Any, **headers: str) -> ErrorInfo:
    """What is read of a refusal with that JSON body."""
    return read_error(status_code, headers, json.dumps(body).encode())
