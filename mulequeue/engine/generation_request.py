"""The request for a generation: a call of ``generate`` that is checked before anything is sent."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mulequeue import catalog
from mulequeue.api.terminal_answer import error_of
from mulequeue.catalog.defaults import with_defaults
from mulequeue.catalog.inputs import check_input, has_files, input_digest, resolve_input
from mulequeue.catalog.poll_schedule import MAX_WAIT_CEILING_SECONDS, PollSchedule
from mulequeue.catalog.valid_text import valid_text
from mulequeue.catalog.validation.calls import mode_of, validate_input
from mulequeue.engine.generation_call import GenerationCall, check_fair_key, check_metadata
from mulequeue.errors import InputError, MuleQueueError
from mulequeue.outcome import ErrorInfo
from mulequeue.settings import Profile, Settings
from mulequeue.settings.costs import micros_of_input

LABEL_BYTES = 60  # Redis keeps a hash compact while no value is longer than 64 bytes


class HostFault(MuleQueueError):
    """Raised if this host cannot prepare an input; the generation waits for another host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """A generation to create."""

    model: catalog.Model
    input: Mapping[str, Any]
    profile: Profile
    schedule: PollSchedule
    max_wait_seconds: float
    interval: float | None = None
    """The fixed poll interval in seconds that the caller asked for; None: the model's schedule."""
    batch_id: str | None = None
    batch_size: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """The caller's own data, which the record keeps."""
    fair_key: str | None = None
    """Submissions with different fair keys take turns; None: the batch is the fair key."""
    usd_micros: int | None = None
    """The estimated cost in millionths of a US dollar; None: unknown. 0 if the generation exists already."""
    refresh_input: Callable[[Settings], Mapping[str, Any]] | None = None
    """Returns the input just before it is sent, or raises HostFault; None: :attr:`input` is sent."""

    @property
    def path(self) -> str:
        """The api_path as records store it."""
        return self.model.path

    @property
    def model_name(self) -> str | None:
        return self.model.name if self.model.is_known else None

    @property
    def label(self) -> str:
        """The start of the prompt, for display."""
        text = self.input.get(self.model.prompt_field)
        if not isinstance(text, str):
            return ""
        line = valid_text(" ".join(text.split())).encode()
        return line[:LABEL_BYTES].decode(errors="ignore")

    @property
    def digest(self) -> str:
        return input_digest(self.model.api_path, self.input)

    @property
    def is_body_slow(self) -> bool:
        """True if :meth:`body` reads files or sends requests."""
        return self.refresh_input is not None or has_files(self.input)

    def body(self, settings: Settings) -> dict[str, Any]:
        """Return the JSON object to send: the input with its files read and encoded."""
        input = self.input
        if self.refresh_input is not None:
            input = {**input, **self.refresh_input(settings)}  # the defaults are only in self.input
        return resolve_input(input, roots=settings.input_roots, max_bytes=settings.input_max_bytes)


def request_of(
    call: GenerationCall, settings: Settings, *, is_new: bool = True, needs_key: bool = True
) -> GenerationRequest:
    """Check a call, and return the request for its generation.

    The defaults of the settings are added to the input, unless the call adopts an existing generation.

    :param is_new: False for a wake: its parameters were validated before.
    :param needs_key: False accepts a profile without an API key, because another worker may have the key.
    :raises InputError: the model is unknown, or the input or another argument is invalid.
    :raises ConfigurationError: the profile is unknown or invalid, or has no key and ``needs_key`` is True.
    """
    options, submits, input = call.options, call.remote_id is None, call.make_input()
    if options.on_failure not in ("raise", "return"):
        raise InputError(f"on_failure is {options.on_failure!r}; it must be 'raise' or 'return'.")
    batch_id, batch_size = options.batch
    metadata, fair_key = check_metadata(options.metadata), check_fair_key(options.fair_key)
    found = catalog.find(call.model)
    if submits:
        input = with_defaults(settings.defaults, found, input)
    check_input(input, settings.input_roots, max_bytes=settings.input_max_bytes)
    if submits and is_new:
        validate_input(found, input, mode_of(options.validate, settings.validate))
    interval = options.poll_interval
    return GenerationRequest(
        model=found,
        input=input,
        profile=settings.profile(options.profile, needs_key=needs_key),
        schedule=found.schedule if interval is None else PollSchedule.fixed(interval),
        max_wait_seconds=_max_wait(
            options.max_wait, settings.max_wait_seconds, found.max_wait_seconds
        ),
        interval=None if interval is None else float(interval),
        batch_id=batch_id,
        batch_size=batch_size,
        metadata=metadata,
        fair_key=fair_key,
        usd_micros=micros_of_input(settings, found, input) if submits else 0,
        refresh_input=call.refresh_input,
    )


def _max_wait(*candidates: float | None) -> float:
    """Return the first given number of seconds, at most ``MAX_WAIT_CEILING_SECONDS``."""
    wait = next(value for value in candidates if value is not None)
    if isinstance(wait, bool) or not isinstance(wait, (int, float)) or not 0 < wait < math.inf:
        raise InputError(f"max_wait is {wait!r}; it must be a number of seconds above 0.")
    return min(float(wait), MAX_WAIT_CEILING_SECONDS)


def refusal_of(exc: Exception) -> dict[str, Any]:
    """Return the answer of a generation that failed before anything was sent: its ``error``."""
    if isinstance(exc, MuleQueueError):
        return {"error": error_of(ErrorInfo(type=type(exc).__name__, title=str(exc)))}
    title = f"It failed before it was sent: {type(exc).__name__}: {exc}"
    return {"error": error_of(ErrorInfo(type="InputError", title=title[:500]))}
