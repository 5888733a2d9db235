"""Generations that exist already: adopt and resume."""

from __future__ import annotations

import pytest
from support.emulator_client import IMAGE, created
from support.fleet import KEY, Fleet
from support.generations import new_id, one, started

from mulequeue.errors import GenerationFailed, GenerationTimedOut, InputError
from mulequeue.tasks.canvases import resume


def test_adopt(shared: Fleet) -> None:
    """A generation made elsewhere is waited for; nothing is sent."""
    remote_id = created(shared.emulator, prompt="a mule")

    outcome = shared.task("mulequeue.adopt", IMAGE, remote_id, poll_interval=0.1).delay()

    assert ("succeeded", remote_id) == (
        outcome.get(timeout=30)["status"],
        outcome.get()["remote_id"],
    )
    assert 1 == shared.emulator.stats()["creates"]


def test_adopt_in_a_chain_by_name(shared: Fleet) -> None:
    """The model's name does as well as its path, and the chain goes on."""
    remote_id = created(shared.emulator, prompt="a mule")
    adopt = shared.task("mulequeue.adopt", "alibaba/wan2.6-t2i", remote_id, poll_interval=0.1)

    outcome = (adopt | shared.task("mulequeue.download")).delay().get(timeout=30)

    assert 1 == len(outcome["files"])


def test_adopt_of_a_failed_one_raises(shared: Fleet) -> None:
    """An adopted generation that failed raises like any other."""
    shared.emulator.faults(lives=[{"end": "failed", "detail": "a bad mule"}])
    remote_id = created(shared.emulator, prompt="a mule")

    result = shared.task("mulequeue.adopt", IMAGE, remote_id, poll_interval=0.1).delay()

    with pytest.raises(GenerationFailed, match="a bad mule"):
        result.get(timeout=30)


def test_same_adoption_twice_is_one(shared: Fleet) -> None:
    """An adopt enqueued twice under one id has one record and one delivery."""
    shared.emulator.faults(lives=[{"seconds": 0.5}])
    remote_id = created(shared.emulator, prompt="a mule")
    adopt = shared.task("mulequeue.adopt", IMAGE, remote_id, poll_interval=0.1)
    task_id = new_id()

    adopt.apply_async(task_id=task_id)
    outcome = adopt.apply_async(task_id=task_id).get(timeout=30)

    assert "succeeded" == outcome["status"]
    assert 1 == shared.wait_for_state(task_id, "delivered").deliveries


def test_timed_out_generation_is_resumed(shared: Fleet) -> None:
    """A generation that outlived max_wait is taken up again under a new task id, and not paid twice."""
    shared.emulator.faults(lives=[{"end": "never"}])
    result = one(shared, max_wait=0.3).apply_async(task_id=new_id())
    with pytest.raises(GenerationTimedOut) as caught:
        result.get(timeout=30)
    remote_id = caught.value.outcome["remote_id"]

    signature = resume(result.id, app=shared.app).clone(kwargs={"poll_interval": 0.1})
    again = (signature | shared.task("mulequeue.download")).delay()
    shared.wait_for_state(again.parent.id, "generating")
    shared.emulator.finish(remote_id)

    outcome = again.get(timeout=30)
    assert remote_id == outcome["remote_id"]
    assert outcome["files"]
    assert result.id != outcome["task_id"]
    assert 1 == shared.emulator.stats()["creates"]


def test_resume_without_an_id(shared: Fleet) -> None:
    """What never got an id cannot be resumed; the text says what is left to do."""
    shared.emulator.faults(creates=[{"do": "status", "status": 500}])
    result = one(shared, on_failure="return").apply_async(task_id=new_id())
    result.get(timeout=30)

    with pytest.raises(InputError, match="Start a new generation if you accept the cost"):
        resume(result.id, app=shared.app)


def test_resume_of_an_unknown_task(shared: Fleet) -> None:
    """A task id that the ledger does not know is an error that names it."""
    with pytest.raises(InputError, match="nobody-1"):
        resume("nobody-1", app=shared.app)


def test_resume_keeps_the_profile_and_path(shared: Fleet) -> None:
    """The signature of resume holds path, id, profile and poll interval of the record."""
    shared.emulator.faults(lives=[{"end": "never"}])
    task_id = started(shared)
    record = shared.ledger.queries.record(task_id)

    signature = resume(task_id, app=shared.app)

    assert (IMAGE, record.remote_id) == signature.args
    assert {"profile": "default", "poll_interval": 0.1} == signature.kwargs
    assert KEY not in str(dict(signature))
