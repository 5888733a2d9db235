"""Chains, groups and chords around generations, built by hand."""

from __future__ import annotations

import pytest
from celery import chain, group
from support.fleet import Fleet
from support.generations import Log, one

from mulequeue.errors import GenerationFailed

FAILING = {"lives": [{"contains": "bad", "end": "failed", "detail": "a bad mule"}]}


def test_chain_goes_on_with_a_failed_outcome(shared: Fleet) -> None:
    """With on_failure="return" download passes a failed outcome through and the chain goes on."""
    shared.emulator.faults(**FAILING)

    steps = one(shared, "bad", on_failure="return"), shared.task("mulequeue.download")
    outcome = chain(*steps, shared.task("user.collect")).delay().get(timeout=30)

    assert ("failed", []) == (outcome["status"], outcome["files"])
    assert "a bad mule" == outcome["error"]["detail"]
    assert 0 == shared.emulator.stats()["downloads"]


def test_chain_ends_at_a_failure(shared: Fleet) -> None:
    """Without the option the chain ends at the failed generation, and its caller sees why."""
    shared.emulator.faults(**FAILING)
    log = Log(shared)

    result = (one(shared, "bad") | shared.task("mulequeue.download")).delay()

    with pytest.raises(GenerationFailed, match="a bad mule"):
        result.get(timeout=30)
    assert f"mulequeue.download[{result.id}]" not in log.text


def test_group(shared: Fleet) -> None:
    """A group returns its members' outcomes in the order they were written."""
    prompts = ["one", "two", "three"]

    outcomes = group([one(shared, prompt) for prompt in prompts]).delay().get(timeout=30)

    remote_ids = {item["prompt"]: item["remote_id"] for item in shared.emulator.generations()}
    assert [remote_ids[prompt] for prompt in prompts] == [item["remote_id"] for item in outcomes]


def test_chord_body_runs_with_failures_as_values(shared: Fleet) -> None:
    """With on_failure="return" the body gets every outcome, the failed one in its place."""
    shared.emulator.faults(**FAILING)
    prompts = ["one", "bad", "three"]
    header = [one(shared, prompt, on_failure="return") for prompt in prompts]

    outcomes = shared.chord(header, shared.task("user.collect")).delay().get(timeout=30)

    assert ["succeeded", "failed", "succeeded"] == [item["status"] for item in outcomes]


def test_chord_fails_with_one_generation(shared: Fleet) -> None:
    """Without the option the body never runs, and one warning names the option."""
    shared.emulator.faults(**FAILING)
    log = Log(shared)
    header = [one(shared, prompt) for prompt in ("one", "bad")]

    result = shared.chord(header, shared.task("user.collect")).delay()

    with pytest.raises(Exception, match="a bad mule"):
        result.get(timeout=30)
    log.wait_for("set on_failure='return' to pass the outcome to the body")
    assert f"user.collect[{result.id}]" not in log.text


def test_chord_inside_a_chain(shared: Fleet) -> None:
    """A chain of a task, a chord of chains and a task runs to its end, each step once."""
    members = [one(shared, name) | shared.task("mulequeue.download") for name in ("a", "b")]
    steps = chain(
        shared.task("user.noop"),
        shared.chord(
            [step_without_input(member) for member in members], shared.task("user.collect")
        ),
        shared.task("user.collect"),
    )

    outcomes = steps.delay().get(timeout=30)

    assert ["succeeded"] * 2 == [item["status"] for item in outcomes]
    assert all(item["files"] for item in outcomes)
    assert 2 == shared.emulator.stats()["creates"]


def step_without_input(member):
    """A chain whose first task takes nothing from the step before it."""
    member.tasks[0].set(immutable=True)
    return member


def test_generation_between_groups(shared: Fleet) -> None:
    """A generation that starts a group starts each of its members once."""
    fan = group([shared.task("user.collect"), shared.task("mulequeue.download")])

    collected, downloaded = (one(shared) | fan).delay().get(timeout=30)

    assert "succeeded" == collected["status"]
    assert downloaded["files"]
