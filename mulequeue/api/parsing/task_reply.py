"""Read the state of one generation from a response.

Only ``status`` decides: the response for a failed generation is an HTTP 200, and some responses
contain an empty ``error`` beside ``completed``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from mulequeue.api.parsing.assets import find_assets
from mulequeue.api.parsing.http_error import one_line, quote_value, read_reason
from mulequeue.api.parsing.json_body import remote_id_of
from mulequeue.outcome import ErrorInfo, Kind

State = Literal["active", "succeeded", "failed"]

# In the API's documentation the async-tasks page and the model pages use different words; `retrying` is on the
# delete page only.
_STATES: dict[str, State] = {
    **dict.fromkeys(("pending", "queued", "running", "processing", "retrying"), "active"),
    **dict.fromkeys(("succeeded", "completed", "success"), "succeeded"),
    **dict.fromkeys(("failed", "canceled", "cancelled", "error"), "failed"),
}
_NO_ASSETS = ErrorInfo(
    type="NoAssets",
    title="The generation completed without any file; it was probably billed",
)
_NO_REASON = "The generation failed, and the API gives no reason"


class WireError(ValueError):
    """The response does not describe a generation."""


class TaskReply(NamedTuple):
    """The state of a generation as one response reports it.

    It is a tuple because creating one takes 0.4 µs, and a frozen dataclass 1.7 µs.
    """

    remote_id: str | None
    """The API's id, or None if the response contains none."""
    state: State
    """``active`` for every status that is not known to be final."""
    status: str | None
    """The API's status word, or None if the response contains none."""
    kind: Kind | None
    """The kind of the assets: from the key that contained them, else as declared, else from the extension."""
    urls: tuple[str, ...]
    """Assets in the API's order: http(s) and ``data:`` URLs, or ``hex:`` and the hex digits of audio."""
    error: ErrorInfo | None
    """Set if and only if ``state`` is ``failed``. Type ``NoAssets``: completed without any file."""
    created_at: str | None
    updated_at: str | None
    extra: dict[str, Any]
    """All other top-level fields of the response."""


def read_task(body: Any, *, kind: Kind | None = None) -> TaskReply:
    """Read the response to a create request or a status check, or the payload of a webhook.

    :param body: the decoded JSON.
    :param kind: the kind of asset that the model generates; its result key is tried first.
    :raises WireError: ``body`` contains no ``task_info`` object.
    """
    info = body.get("task_info") if isinstance(body, dict) else None
    if not isinstance(info, dict):
        raise WireError(f"The response contains no task_info object: {one_line(quote_value(body))}")
    status = _as_string(info.get("status"))
    state = _state_of(status)
    urls: tuple[str, ...] = ()
    error = key = None
    if state == "succeeded":
        key, kind, urls = find_assets(body, kind)
        if not urls:
            state, error = "failed", _NO_ASSETS
    elif state == "failed":
        error = _failure_of(info, body)
    return TaskReply(
        remote_id_of(info),
        state,
        status,
        kind,
        urls,
        error,
        _as_string(info.get("created_at")),
        _as_string(info.get("updated_at")),
        # nearly all responses are active and contain only task_info
        _extra_fields(body, key) if len(body) > 1 else {},
    )


def is_known_status(status: str | None) -> bool:
    """Return whether the status is a known word. An unknown or missing status counts as active."""
    return status is not None and status.strip().lower() in _STATES


def _state_of(status: str | None) -> State:
    if status is None:
        return "active"
    return _STATES.get(status) or _STATES.get(status.strip().lower(), "active")


def _failure_of(info: Mapping[str, Any], body: Mapping[str, Any]) -> ErrorInfo:
    reason = read_reason(info.get("error"), body.get("error"))
    title = reason.title or (None if reason.detail else _NO_REASON)
    return ErrorInfo(type="GenerationFailed", code=reason.code, title=title, detail=reason.detail)


def _as_string(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _extra_fields(body: Mapping[str, Any], key: str | None) -> dict[str, Any]:
    return {name: body[name] for name in body if name not in ("task_info", "error", key)}
