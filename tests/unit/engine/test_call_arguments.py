"""The arguments of a task, however a caller passes them."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from celery import Celery

from mulequeue.engine.call_arguments import POSITIONS, normalize_arguments


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ([1, 2, 3], {"use": "image"}),
        ([1, 2], {"input": 3, "use": "image"}),
        ([1], {"model": 2, "input": 3, "use": "image"}),
        ([], {"previous": 1, "model": 2, "input": 3, "use": "image"}),
        ([1, 2, 3], {"model": "twice", "use": "image"}),
    ],
)
def test_every_form_of_a_call_becomes_the_same(args: list[Any], kwargs: dict[str, Any]) -> None:
    """Each argument is there once: by position where the task takes it so, and by keyword otherwise."""
    expected = ([1, 2, 3], {"use": "image"})

    assert expected == normalize_arguments("mulequeue.generate_from", args, kwargs)


def test_incomplete_call_moves_no_argument_to_another_position() -> None:
    """An argument stays a keyword if one before it is missing."""
    found = normalize_arguments("mulequeue.generate", [], {"input": {}})

    assert ([], {"input": {}}) == found


def test_values_are_replaced_by_name() -> None:
    """A replaced value takes the place of the one that was given, in either form."""
    for args, kwargs in ((["m", {"prompt": "a"}], {}), ([], {"model": "m", "input": {"n": 1}})):
        found = normalize_arguments("mulequeue.generate", args, kwargs, input={})

        assert (["m", {}], {}) == found


def test_arguments_of_other_tasks_stay() -> None:
    """A task that is not in the table keeps its form."""
    assert ([1, 2], {"a": 3}) == normalize_arguments("user.work", [1, 2], {"a": 3})


def test_the_table_is_that_of_the_tasks() -> None:
    """The names are the positional arguments of each task."""
    pytest.importorskip("mulequeue.contrib.django.attach", reason="Django is not installed")
    app = Celery("table", broker="memory://", set_as_current=False)
    app.finalize()

    for name, names in POSITIONS.items():
        parameters = inspect.signature(app.tasks[name].run).parameters.values()
        kinds = [item.name for item in parameters if item.kind is item.POSITIONAL_OR_KEYWORD]
        assert names == tuple(kinds), name
    app.close()
