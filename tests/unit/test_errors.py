"""The errors: they say what happened, and survive every way a result travels."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from mulequeue import errors
from mulequeue.errors import GenerationError, GenerationFailed, SubmitUnknown, generation_error
from mulequeue.outcome import OUTCOME_STATUSES

OUTCOME: dict[str, Any] = {
    "task_id": "order-1",
    "status": "failed",
    "remote_id": "r-1",
    "model": "alibaba/wan2.6-t2i",
    "error": {"type": "InvalidRequestError", "code": 2001, "title": "Bad", "detail": "no mules"},
}


@pytest.mark.parametrize("status", [name for name in OUTCOME_STATUSES if name != "succeeded"])
def test_every_outcome_but_success_has_an_error_of_its_own(status: str) -> None:
    """Each status that is not succeeded is one exception class, told apart by except."""
    raised = generation_error({**OUTCOME, "status": status})

    kinds = {type(generation_error({**OUTCOME, "status": name})) for name in OUTCOME_STATUSES[1:]}
    assert len(OUTCOME_STATUSES) - 1 == len(kinds)
    assert isinstance(raised, GenerationError)


@pytest.mark.parametrize("status", OUTCOME_STATUSES[1:])
def test_generation_errors_survive_json_and_pickle(status: str) -> None:
    """type(*args) in another process, through JSON or pickle, is the same error."""
    raised = generation_error({**OUTCOME, "status": status})

    by_json = type(raised)(*json.loads(json.dumps(raised.args)))
    by_pickle = pickle.loads(pickle.dumps(raised))

    assert str(raised) == str(by_json) == str(by_pickle)
    assert raised.outcome == by_json.outcome == by_pickle.outcome


def test_text_names_the_reason_and_where() -> None:
    """The text has the API's number and words, and the ids to look for."""
    text = str(GenerationFailed(OUTCOME))

    for part in ("code 2001", "no mules", "alibaba/wan2.6-t2i", "order-1", "r-1"):
        assert part in text
    assert "\n" not in repr(GenerationFailed(OUTCOME))


def test_reason_is_the_type_of_the_error() -> None:
    """reason tells a lack of money from a bad prompt without reading text."""
    assert "InvalidRequestError" == GenerationFailed(OUTCOME).reason
    assert GenerationFailed({"task_id": "t", "status": "failed"}).reason is None


def test_bare_outcome_has_a_text() -> None:
    """An outcome without an error has a text all the same."""
    assert "order-1" in str(SubmitUnknown({"task_id": "order-1", "status": "submit_unknown"}))


def test_tree_is_drawn_and_complete() -> None:
    """Every class is drawn on top of the module and listed, and stems from MuleQueueError."""
    classes = {name for name, item in vars(errors).items() if isinstance(item, type)} - {
        "Any",
        "ClassVar",
    }

    assert classes | {"generation_error"} == set(errors.__all__)
    for name in classes:
        assert name in (errors.__doc__ or "")
        assert issubclass(getattr(errors, name), errors.MuleQueueError)
