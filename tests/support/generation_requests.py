"""A call of ``generate``, checked."""

from __future__ import annotations

from typing import Any

from mulequeue.engine.generation_call import CallOptions, GenerationCall
from mulequeue.engine.generation_request import GenerationRequest, request_of
from mulequeue.settings import Settings


def make_generation_request(
    settings: Settings,
    model: str,
    input: Any,
    options: CallOptions | None = None,
    *,
    submits: bool = True,
    is_new: bool = True,
) -> GenerationRequest:
    """The request of a call with this input; one that exists already unless it ``submits``."""
    call = GenerationCall(
        model=model,
        make_input=lambda: input,
        options=options or CallOptions(),
        remote_id=None if submits else "remote-1",
    )
    return request_of(call, settings, is_new=is_new)
