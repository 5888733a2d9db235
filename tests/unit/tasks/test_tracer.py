"""The traceback of a parked task."""

from __future__ import annotations

import traceback
from typing import Any

import pytest
from billiard.einfo import ExceptionInfo
from celery import Celery
from celery.app.trace import build_tracer
from celery.exceptions import Ignore, Reject

from mulequeue.engine.submit.park import Parked
from mulequeue.tasks.base import RedactedTask
from mulequeue.tasks.tracer import shorten_tracebacks

REQUEST: dict[str, Any] = {"id": "one", "delivery_info": {}, "ignore_result": True}


def traced(error: Exception, base: Any = RedactedTask) -> ExceptionInfo:
    """What a worker's process sends to the main process after a task that raises."""
    app = Celery("tracer", broker="memory://", backend="cache+memory://", set_as_current=False)

    @app.task(name="raises", base=base, shared=False)
    def raises() -> None:
        raise error

    app.finalize()
    raises.__trace__ = build_tracer("raises", raises, app.loader, "worker@here", app=app)
    shorten_tracebacks(app, "worker@here")
    return raises.__trace__("one", (), {}, REQUEST).retval


@pytest.mark.parametrize("error", [Ignore("why"), Parked("a/model")])
def test_a_parked_task_has_one_frame(error: Exception) -> None:
    """The main process gets the exception of a parked task, with a traceback of one frame."""
    info = traced(error)

    assert (type(error), error) == (info.type, info.exception.exc)
    assert 1 == len(traceback.extract_tb(info.tb))
    assert str(error) in info.traceback


@pytest.mark.parametrize("error", [ValueError("no row"), Reject("broken")])
def test_other_errors_keep_their_frames(error: Exception) -> None:
    """The traceback of another error leads to the line that raised it."""
    assert "raise error" in traced(error).traceback


def test_tasks_of_the_user_keep_their_tracers() -> None:
    """A task that is not ours is traced by Celery's own tracer."""
    assert "raise error" in traced(Ignore("why"), base=None).traceback
