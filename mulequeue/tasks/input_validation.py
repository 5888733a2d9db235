"""The base of the tasks that submit: an input that a model does not take is refused where it is called.

A signature is checked when it is made, so a bad one is refused before any part of its canvas is
published. What reaches a worker unchecked (sent by name, or inside a canvas) is checked there, and
ends as an outcome; nothing is sent either way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mulequeue.engine.submit.park import MARKER
from mulequeue.tasks.argsrepr import RedactedTask

_IN_A_CANVAS = ("group_id", "chord", "chain")
_STANDS_FOR_AN_ASSET = "https://example.com/asset"


class ValidatingTask(RedactedTask):
    """A task called with a model and its input."""

    abstract = True

    def s(self, *args: Any, **kwargs: Any) -> Any:
        """Celery's own.

        :raises InputError: the model does not take the input.
        """
        self._validate(args, kwargs)
        return super().s(*args, **kwargs)

    def si(self, *args: Any, **kwargs: Any) -> Any:
        """Celery's own.

        :raises InputError: the model does not take the input.
        """
        self._validate(args, kwargs)
        return super().si(*args, **kwargs)

    def delay(self, *args: Any, **kwargs: Any) -> Any:
        """Celery's own. Celery itself never calls it, so it is checked in a running task as well.

        :raises InputError: the model does not take the input.
        """
        self._validate(args, kwargs)
        return super().delay(*args, **kwargs)

    def apply_async(self, args: Any = None, kwargs: Any = None, *rest: Any, **options: Any) -> Any:
        """Celery's own.

        :raises InputError: the model does not take the input.
        """
        if self._is_direct_call(options):
            self._validate(args or (), kwargs or {})
        return super().apply_async(args, kwargs, *rest, **options)

    def _is_direct_call(self, options: Mapping[str, Any]) -> bool:
        """Whether it is the user who calls, and for this task alone.

        A task that runs dispatches the next step of its canvas, a worker sends again what was lost,
        and one part of a canvas is sent among others: an error there would leave the rest behind.
        """
        is_wake = MARKER in (options.get("headers") or {}) or options.get("add_to_parent") is False
        is_part = any(options.get(name) for name in _IN_A_CANVAS)
        return not (is_wake or is_part or self._get_app().current_worker_task)

    def _validate(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        found = _call_of(self.name, args, kwargs)
        if found is not None:
            from mulequeue.catalog.validation.calls import validate_call

            validate_call(self._get_app(), *found, validate=kwargs.get("validate"))


def _call_of(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, Any] | None:
    """Model and input of a call; None for one that cannot be judged (yet)."""
    if name == "mulequeue.adopt":
        return None
    is_following = name == "mulequeue.generate_from"
    if is_following and args and (len(args) > 2 or not isinstance(args[0], str)):
        args = args[1:]  # without the previous outcome, which a signature has not got yet
    given = dict(zip(("model", "input"), args, strict=False)) | dict(kwargs)
    model, input = given.get("model"), given.get("input")
    if model is None or input is None:
        return None
    if is_following and isinstance(input, dict):
        from mulequeue.catalog.inputs import insert_asset

        input = insert_asset(input, str(kwargs.get("use", "image")), _STANDS_FOR_AN_ASSET)
    return model, input
