"""An API whose answers to status checks a test writes."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from support.raw_server import RawServer, Request, http, raw_server

Answer = bytes | dict[str, Any] | str
"""Bytes of a whole HTTP response, or the JSON of a 200: a value, or its text."""


@dataclass
class StatusAPI:
    """Each prompt is a generation; its checks get the answer of the function, in order."""

    answer: Callable[[str, str, int], Answer]
    """Prompt, remote id and number of the check (from 1) -> answer."""
    ids: Mapping[str, str] = field(default_factory=dict)
    """By prompt; the others are random."""
    prompts: dict[str, str] = field(default_factory=dict)
    """By remote id."""
    checks: Counter[str] = field(default_factory=Counter)
    """By prompt."""
    url: str = ""

    def __call__(self, connection: Any, request: Request, state: RawServer) -> None:
        connection.sendall(self._respond(request))

    def _respond(self, request: Request) -> bytes:
        if request.line.startswith("POST"):
            prompt = json.loads(request.body)["prompt"]
            remote_id = self.ids.get(prompt) or str(uuid.uuid4())
            self.prompts[remote_id] = prompt
            return http("202 Accepted", json.dumps(task(remote_id, "pending")))
        remote_id = unquote(request.line.split()[1].rpartition("/")[2])
        prompt = self.prompts.get(remote_id)
        if prompt is None:
            return http("404 Not Found", '{"error_code": 2005, "title": "No such task"}')
        self.checks[prompt] += 1
        found = self.answer(prompt, remote_id, self.checks[prompt])
        if isinstance(found, bytes):
            return found
        return http("200 OK", found if isinstance(found, str) else json.dumps(found))


def task(remote_id: str, status: str | None, **more: Any) -> dict[str, Any]:
    """The answer about a generation."""
    return {"task_info": {"id": remote_id, "status": status}, **more}


@contextmanager
def status_api(
    answer: Callable[[str, str, int], Answer], ids: Mapping[str, str] | None = None
) -> Iterator[StatusAPI]:
    """Serve an API whose status checks are answered by a function."""
    api = StatusAPI(answer, ids or {})
    with raw_server(api) as server:
        api.url = server.url
        yield api
