"""Validate the calls of tasks: find the model and the input in the arguments, and validate them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from celery import Task

from mulequeue import catalog
from mulequeue.catalog.inputs import insert_asset
from mulequeue.engine.call_arguments import arguments_by_name
from mulequeue.engine.generation_call import (
    CallOptions,
    check_fair_key,
    check_metadata,
    check_option_names,
    check_remote_id,
)
from mulequeue.engine.submit.park import EPOCH
from mulequeue.transfer.path_template import check_template

_CANVAS_OPTIONS = ("group_id", "chord", "chain")
_CHAINED_ARGUMENTS = {"previous", "model", "input", "use", "index"}
_ASSET_PLACEHOLDER = "https://example.com/asset"


class ValidatingTask(Task):
    """A task whose model and input are validated in the process that calls it.

    A signature is validated when it is created, so an invalid one raises before any part of its canvas is
    published. The worker validates calls that arrive by task name or inside a canvas; their error
    becomes the outcome. In both cases no invalid input is sent to the API. The methods raise the errors of
    :func:`validate_task_call`.
    """

    abstract = True

    def s(self, *args: Any, **kwargs: Any) -> Any:
        """Return a signature."""
        validate_task_call(self, args, kwargs)
        return super().signature(args, kwargs)

    def si(self, *args: Any, **kwargs: Any) -> Any:
        """Return an immutable signature."""
        return self.s(*args, **kwargs).set(immutable=True)

    def signature(self, args: Any = None, kwargs: Any = None, *rest: Any, **options: Any) -> Any:
        """Return a signature; validate it if the user made this call outside a running task."""
        self._validate_direct_call(args or (), kwargs or {}, options)
        return super().signature(args, kwargs, *rest, **options)

    def delay(self, *args: Any, **kwargs: Any) -> Any:
        """Send the task. Celery never calls this method, so it validates in a running task as well."""
        if self._get_app().current_worker_task:  # elsewhere apply_async validates
            validate_task_call(self, args, kwargs)
        return super().delay(*args, **kwargs)

    def apply_async(self, args: Any = None, kwargs: Any = None, *rest: Any, **options: Any) -> Any:
        """Send the task; validate it if the user made this call."""
        self._validate_direct_call(args or (), kwargs or {}, options)
        return super().apply_async(args, kwargs, *rest, **options)

    def _validate_direct_call(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], options: Mapping[str, Any]
    ) -> None:
        """Validate a call, unless a running task, a wake or a canvas makes it.

        A canvas publishes its parts one by one, so an error here would leave the other parts without this one.
        """
        is_wake = EPOCH in kwargs or options.get("add_to_parent") is False
        is_part = any(options.get(name) for name in _CANVAS_OPTIONS)
        if not (is_wake or is_part or self._get_app().current_worker_task):
            validate_task_call(self, args, kwargs)


def validate_task_call(task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Validate the arguments of a call: input, ids and options, or the path template of ``download``.

    :raises InputError: the model is unknown, or the input or another argument is invalid or does not exist.
    :raises ConfigurationError: the path template is invalid.
    """
    given = _by_name(task.name, args, kwargs)
    if task.name == "mulequeue.download":
        # Only a worker can check the storage.
        if given.get("path"):
            check_template(given["path"])
        return
    _validate_options(task.name, given)
    model, input = given.get("model"), given.get("input")
    if model is None or input is None:  # the call is not complete yet
        return
    from mulequeue.catalog.validation.calls import validate_call

    if task.name == "mulequeue.generate_from" and isinstance(input, dict):
        input = insert_asset(input, str(kwargs.get("use", "image")), _ASSET_PLACEHOLDER)
    validate_call(task._get_app(), model, input, validate=kwargs.get("validate"))


def _by_name(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call by name."""
    has_previous = len(args) > 2 or (args and not isinstance(args[0], str))
    if name == "mulequeue.generate_from" and not has_previous:
        args = (None, *args)  # a chain adds the previous outcome later
    return arguments_by_name(name, args, kwargs)


def _validate_options(name: str, given: Mapping[str, Any]) -> None:
    """Validate the option names, ids, batch size, metadata and fair key, which would otherwise fail in a worker."""
    if name == "mulequeue.generate_from":
        check_option_names("generate_from", given.keys() - _CHAINED_ARGUMENTS)
    if given.get("api_path") is not None:
        catalog.find(given["api_path"])
    if given.get("remote_id") is not None:
        check_remote_id(given["remote_id"])
    batch = {key: given[key] for key in ("batch_id", "batch_size") if key in given}
    _ = CallOptions(**batch).batch
    check_metadata(given.get("metadata"))
    check_fair_key(given.get("fair_key"))
