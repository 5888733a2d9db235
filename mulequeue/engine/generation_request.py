"""A call of ``generate``, checked before anything is sent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mulequeue import catalog
from mulequeue.api.terminal_answer import error_of
from mulequeue.catalog.inputs import check_input, input_digest, resolve_input
from mulequeue.catalog.poll_schedule import MAX_WAIT_CEILING_SECONDS, PollSchedule
from mulequeue.catalog.validation.calls import mode_of, validate_input
from mulequeue.errors import InputError
from mulequeue.outcome import ErrorInfo
from mulequeue.settings import Profile, Settings

OnFailure = Literal["raise", "return"]
LABEL_BYTES = 60  # Redis keeps a hash compact while no value is longer than 64 bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """A generation to create."""

    model: catalog.Model
    input: Mapping[str, Any]
    profile: Profile
    schedule: PollSchedule
    max_wait_seconds: float
    interval: float | None = None
    """The fixed poll interval that the caller asked for."""
    batch_id: str | None = None
    batch_size: int | None = None

    @property
    def path(self) -> str:
        """The api_path as records store it."""
        return self.model.api_path.removeprefix("/vendors/")

    @property
    def model_name(self) -> str | None:
        return self.model.name if self.model.is_known else None

    @property
    def label(self) -> str:
        """The start of the prompt, for display."""
        text = self.input.get(self.model.prompt_field)
        if not isinstance(text, str):
            return ""
        line = " ".join(text.split()).encode(errors="ignore")
        return line[:LABEL_BYTES].decode(errors="ignore")

    @property
    def digest(self) -> str:
        return input_digest(self.model.api_path, self.input)

    def body(self, settings: Settings) -> dict[str, Any]:
        """Return the JSON object to send: the input with its files read and encoded."""
        return resolve_input(
            self.input, roots=settings.input_roots, max_bytes=settings.input_max_bytes
        )


def make_generation_request(
    settings: Settings,
    model: str,
    input: Any,
    *,
    profile: str | None = None,
    max_wait: float | None = None,
    poll_interval: float | None = None,
    on_failure: str = "raise",
    batch_id: str | None = None,
    batch_size: int | None = None,
    validate: str | None = None,
    submits: bool = True,
) -> GenerationRequest:
    """Check a call of ``generate``.

    :param validate: ``strict``, ``warn`` or ``off``; None: the setting ``mulequeue_validate``.
    :param submits: whether the input is sent; if not, its parameters are not checked.
    :raises InputError: unknown model, malformed path, an input that is no object or that the model
        rejects, a ``$file`` that may not be read, a number out of range.
    :raises ConfigurationError: unknown profile, or no key for it.
    """
    if on_failure not in ("raise", "return"):
        raise InputError(f"on_failure is {on_failure!r}; it must be 'raise' or 'return'.")
    found = catalog.find(model)
    check_input(input, settings.input_roots, max_bytes=settings.input_max_bytes)
    if submits:
        validate_input(found, input, mode_of(validate, settings.validate))
    schedule = found.schedule if poll_interval is None else PollSchedule.fixed(poll_interval)
    return GenerationRequest(
        model=found,
        input=input,
        profile=settings.profile(profile),
        schedule=schedule,
        max_wait_seconds=_max_wait(max_wait, settings.max_wait_seconds, found.max_wait_seconds),
        interval=None if poll_interval is None else float(poll_interval),
        batch_id=batch_id,
        batch_size=batch_size,
    )


def _max_wait(*candidates: float | None) -> float:
    """Return the first given number of seconds, at most ``MAX_WAIT_CEILING_SECONDS``."""
    wait = next(value for value in candidates if value is not None)
    if isinstance(wait, bool) or not isinstance(wait, (int, float)) or not 0 < wait < math.inf:
        raise InputError(f"max_wait is {wait!r}; it must be a number of seconds above 0.")
    return min(float(wait), MAX_WAIT_CEILING_SECONDS)


def refusal_of(exc: Exception) -> dict[str, Any]:
    """Return the error of an outcome for an input that cannot be sent."""
    return {"error": error_of(ErrorInfo(type=type(exc).__name__, title=str(exc)))}
