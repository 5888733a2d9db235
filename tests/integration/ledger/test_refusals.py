"""Which submissions a refused create pauses: those of a generation, a model, a key, a worker, or all."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis
from support.ledger_line import KLING, PATH, VEO, Line
from support.ledger_world import World, marker_of

from mulequeue.ledger import Scope, SubmissionStatus

POISON = "poison"


def refusing(*tasks: str) -> object:
    """An API that refuses these tasks as too many and accepts all others."""
    return lambda task: "refused" if task in tasks else "accepted"


def paused(world: World) -> SubmissionStatus:
    """What is paused by the world's clock."""
    (status,) = world.ledger.limits.submission_statuses(["default"])
    until = status.paused_until
    return replace(
        status,
        paused_until=until if until and until > world.clock else None,
        scopes=tuple(pause for pause in status.scopes if pause.until > world.clock),
    )


def names(count: int, start: str = "t") -> list[str]:
    return [f"{start}-{index}" for index in range(count)]


# -- a model ----------------------------------------------------------------------------------


def test_a_refused_model_stops_no_other(world: World) -> None:
    """While the quota of one model is used up, those of others are created as if nothing was."""
    line = Line(world, refusing("veo-0", "veo-1"))

    line.enqueue(names(2, "veo"), VEO)
    line.enqueue(names(20))
    line.run(1)

    assert names(20) == line.created()
    world.check()


def test_a_batch_of_many_models_goes_on_with_the_others(world: World) -> None:
    """Members of a paused model step aside also if they are first in a queue with others."""
    world.ledger.limits.pause_submissions("default")
    line = Line(world, lambda task: "refused" if task.startswith("veo") else "accepted")
    line.enqueue(names(3, "veo"), VEO, batch="b")
    line.enqueue(names(3), batch="b")

    world.ledger.limits.resume_submissions("default")
    line.run(3)

    assert names(3) == line.created()
    world.check()


def test_a_model_that_is_open_again_returns_to_the_common_queues(world: World) -> None:
    """After the pause and the ramp nothing of it is left but the time of the last create."""
    answers = ["refused"]
    line = Line(world, lambda task: answers.pop() if answers else "accepted")

    line.enqueue(names(50), batch="b")
    line.run(30)

    line.enqueue(["late"])
    assert sorted([*names(50), "late"]) == sorted(line.created())
    assert set(world.fields(f"gate:default:{PATH}")) <= {"accepted"}
    world.check()


def test_a_second_refused_model_pauses_the_profile(world: World) -> None:
    """Two models refused with none accepted in between: it is the account that is refused."""
    line = Line(world, refusing("a", "b", "c"))

    line.enqueue(["a"], VEO)
    line.enqueue(["b"], PATH)
    line.enqueue(["c"], KLING)

    assert ["a", "b"] == [task for _, task, _ in line.creates]
    status = paused(world)
    assert status.paused_until is not None
    assert "the reason" == status.reason


def test_two_refused_models_with_a_create_in_between_pause_no_profile(world: World) -> None:
    """A create that is accepted in between proves that the account is not refused."""
    line = Line(world, refusing("a", "b"))

    line.enqueue(["a"], VEO)
    line.enqueue(["between"], KLING)
    line.enqueue(["b"], PATH)

    status = paused(world)
    assert status.paused_until is None
    assert {VEO, PATH} == {pause.scope for pause in status.scopes}


def test_an_account_that_is_refused_is_asked_by_one_probe(world: World) -> None:
    """With many models waiting, the pauses grow, and each asks once."""
    line = Line(world, lambda task: "refused")
    line.enqueue(names(5, "veo"), VEO)
    line.enqueue(names(5, "kling"), KLING)
    line.enqueue(names(5))
    before = len(line.creates)

    line.run(300)

    assert 2 == before
    assert len(line.creates) <= 20
    world.check()


# -- a generation ------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [None, "b"])
def test_one_that_is_always_refused_does_not_stop_its_neighbours(
    world: World, batch: str | None
) -> None:
    """It is in front of them, of the same model: they are created, and it is tried again and again."""
    line = Line(world, refusing(POISON))

    line.enqueue([POISON])
    line.enqueue(names(20), batch=batch)
    line.run(60)

    assert sorted(names(20)) == sorted(line.created())
    line.run(3600)
    assert 10 <= len(line.answers(POISON)) <= 30
    world.check()


def test_one_that_is_refused_among_accepted_ones_pauses_nobody(world: World) -> None:
    """Once others of its model were accepted, its refusals delay only itself, more and more."""
    line = Line(world, refusing(POISON))
    line.enqueue([POISON])
    line.enqueue(names(5))
    line.run(60)

    for index in range(100):
        line.enqueue([f"later-{index}"])
        assert f"later-{index}" == line.creates[-1][1]
        line.run(10)

    tries = [at for at, task, _ in line.creates if task == POISON]
    gaps = [after - before for before, after in itertools.pairwise(tries)]
    assert sorted(gaps) == gaps
    assert gaps[-1] == pytest.approx(300, abs=1)


def test_a_second_one_that_is_refused_pauses_the_model(world: World) -> None:
    """Only one generation is taken for the cause: a limit of the model is not missed."""
    refused = {POISON}
    line = Line(world, lambda task: "refused" if task in refused else "accepted")
    line.enqueue([POISON])
    line.run(6)
    line.enqueue(names(1))
    line.run(60)
    assert () == paused(world).scopes

    refused.add("other")
    line.enqueue(["other"])
    line.enqueue(["waits"])

    assert "other" == line.creates[-1][1]
    (pause,) = paused(world).scopes
    assert PATH == pause.scope


@settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    paths=st.lists(st.sampled_from([PATH, VEO, KLING]), min_size=1, max_size=12),
    poisoned=st.sets(st.integers(0, 11), max_size=4),
    batches=st.lists(st.sampled_from([None, "a", "b"]), min_size=12, max_size=12),
)
def test_nothing_starves(
    redis: Redis, paths: list[str], poisoned: set[int], batches: list[str | None]
) -> None:
    """Whatever is refused for ever, all others are created in minutes, and it is tried for ever."""
    redis.flushall()
    world = World(redis, limit=3)
    line = Line(world, lambda task: "refused" if int(task) in poisoned else "accepted")
    for index, (path, batch) in enumerate(zip(paths, batches, strict=False)):
        line.enqueue([str(index)], path, batch)

    line.run(1200)

    healthy = {str(index) for index in range(len(paths))} - {str(index) for index in poisoned}
    assert healthy == set(line.created())
    before = len(line.creates)
    line.run(310 * (len(paths) + 1))  # at least one in each longest pause
    tried = {task for _, task, _ in line.creates[before:]}
    assert {str(index) for index in poisoned if index < len(paths)} == tried
    world.check()


# -- unknown results -----------------------------------------------------------------------------


def test_three_unknown_results_in_a_row_pause_submissions(world: World) -> None:
    """An outage of creates costs three of a queue, and then one per probe, less and less often."""
    line = Line(world, lambda task: "unknown")

    line.enqueue(names(400), batch="b")
    line.run(15)

    assert 3 + 3 == len(line.creates)
    line.answer = lambda task: "accepted"
    line.run(60)
    assert 400 - 6 == len(line.created())
    world.check()


def test_unknown_results_now_and_then_pause_nothing(world: World) -> None:
    """Each answer that is known ends the row."""
    line = Line(world, lambda task: "unknown" if int(task) % 3 else "accepted")

    line.enqueue(map(str, range(60)))

    assert 60 == len(line.creates)


def test_unknown_results_of_one_model_pause_that_model(world: World) -> None:
    """If all of them belong to one model, the others go on."""
    line = Line(world, lambda task: "unknown" if task.startswith("veo") else "accepted")

    line.enqueue(names(9, "veo"), VEO)
    line.enqueue(names(9))

    assert 3 + 9 == len(line.creates)


def test_unknown_results_of_several_models_pause_the_profile(world: World) -> None:
    """Also if no model has had three of them."""
    line = Line(world, lambda task: "unknown")

    line.enqueue(["a"], VEO)
    line.enqueue(["b"], KLING)
    line.enqueue(["c", "d"], PATH)
    line.enqueue(["e"], VEO)

    assert ["a", "b", "c"] == [task for _, task, _ in line.creates]
    status = paused(world)
    assert (world.clock + 2, "502") == (
        pytest.approx(status.paused_until, abs=0.1),
        status.reason,
    )


@pytest.mark.parametrize("end", ["unknown", "died", "rejected here", "too late", "cancelled"])
def test_a_probe_that_ends_without_an_answer_makes_way(world: World, end: str) -> None:
    """The next one is sent seconds later, however the probe ended."""
    world.requeue(world.submit("first"), 1)
    for index in range(3):
        world.ask(world.intent(f"t{index}"))
    (wake,) = world.claim(2).wakes
    probe = world.intent(wake.task_id, marker=marker_of(wake))
    assert "submit" == world.ask(probe).action
    generations = world.ledger.generations

    if end == "unknown":
        generations.settle_submit(probe, "submit_unknown", {})
    elif end == "rejected here":
        generations.settle_submit(probe, "failed", {})
    elif end == "too late":
        generations.requeue(probe)
    elif end == "cancelled":
        generations.cancel(wake.task_id, ttl_seconds=60)
        generations.requeue(probe)

    world.clock += 21 if end == "died" else 5
    (following,) = [it for it in world.claim().wakes if world.state(it.task_id) == "waiting"]
    assert (end == "too late") == (following.task_id == wake.task_id)
    world.check()


# -- a key, a worker -----------------------------------------------------------------------------


def test_a_rejected_key_pauses_the_workers_with_this_key(world: World) -> None:
    """With one key in the fleet one probe at a time asks whether it works again."""
    line = Line(world, lambda task: "bad key")

    line.enqueue(names(20), batch="b")
    line.run(120)

    assert 5 == len(line.creates)
    status = paused(world)
    assert {f"key {world.profile.fingerprint}"} == {pause.scope for pause in status.scopes}
    world.check()


def test_a_fixed_key_goes_on_at_once(world: World) -> None:
    """A worker with another key does not wait for the pause of the rejected one."""
    line = Line(world, lambda task: "bad key")
    line.enqueue(names(20), batch="b")
    line.run(1000)
    rejected = len(line.creates)

    world.profile = type(world.profile)(name="default", base_url="https://a.example", api_key="new")
    line.answer = lambda task: "accepted"
    line.run(20)

    assert 20 == len(line.created())
    assert rejected + 20 == len(line.creates)


def test_a_worker_without_a_connection_leaves_submissions_to_others(world: World) -> None:
    """Two workers take messages in turn, one has no connection: the other one creates everything."""
    turn = iter(range(10**6))
    line = Line(world, lambda task: "accepted")

    def worker() -> str:
        return ("broken", "sound")[next(turn) % 2]

    def intent(*args: object, **given: object) -> object:
        name = worker()
        line.answer = lambda task: "no connection" if name == "broken" else "accepted"
        return original(*args, worker=name, **given)

    original, world.intent = world.intent, intent  # type: ignore[method-assign]
    line.enqueue(names(60), batch="b")
    line.run(30)

    assert sorted(names(60)) == sorted(line.created())
    assert len(line.creates) - 60 <= 6
    status = paused(world)
    assert status.paused_until is None
    world.check()


def test_a_fleet_without_a_connection_tries_rarely(world: World) -> None:
    """The only worker tries again and again, with growing pauses; nothing is lost."""
    line = Line(world, lambda task: "no connection", worker="w1")
    line.enqueue(names(50), batch="b")
    line.run(600)

    assert len(line.creates) <= 24
    line.answer = lambda task: "accepted"
    line.run(60)
    assert sorted(names(50)) == sorted(line.created())
    world.check()


def test_a_worker_without_a_key_submits_nothing(world: World) -> None:
    """What comes to it waits, with the reason; a worker with a key creates it as soon as it is there."""
    line = Line(world, lambda task: "accepted", worker="keyless", fault="No API key")
    line.enqueue(names(20))
    line.run(100)
    assert [] == line.creates
    status = paused(world)
    assert [("worker keyless", "No API key")] == [
        (pause.scope, pause.reason) for pause in status.scopes
    ]

    line.intent = {"worker": "sound"}
    line.run(20)

    assert names(20) == line.created()
    world.check()


def test_a_create_that_was_too_late_pauses_nothing(world: World) -> None:
    """A process that was stopped before it sent returns the task, which is granted again at once."""
    answers = ["too late"]
    line = Line(world, lambda task: answers.pop() if answers else "accepted")

    line.enqueue(["a"])
    line.run(0.1)

    assert ["too late", "accepted"] == line.answers("a")


# -- by hand -------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["refused", "bad key", "no connection", "unknown"])
def test_unpause_ends_every_pause(world: World, answer: str) -> None:
    """After the cause is fixed an operator need not wait for the next probe."""
    line = Line(world, lambda task: answer)
    line.enqueue(names(30))
    line.run(100)
    line.answer = lambda task: "accepted"
    waiting = world.ledger.queries.counts()["waiting"]

    was_paused, effects = world.ledger.limits.resume_submissions("default")
    line.run(0.5)

    assert (True, pytest.approx(world.clock - 0.5)) == (was_paused, effects.poll_by)
    # One that was refused again and again waits by itself.
    assert waiting - (answer == "refused") <= len(line.created())
    status = paused(world)
    assert ((), None) == (status.scopes, status.paused_until)


def test_a_pause_says_what_it_concerns(world: World) -> None:
    """Each pause is listed with its scope, its end and its reason."""
    world.requeue(world.submit("a", path=VEO), 60)
    world.requeue(world.submit("b", worker="w1"), 30, Scope.WORKER)

    status = paused(world)

    assert [("worker w1", 30), (VEO, 60)] == [
        (pause.scope, pytest.approx(pause.until - world.clock)) for pause in status.scopes
    ]


def test_a_grant_that_a_worker_returned_is_marked(world: World) -> None:
    """What is granted after a worker could not submit is told apart from other wakes."""
    assert not world.claim().is_mixed
    world.ask(world.intent("returned", worker="keyless", fault="No API key"))

    claim = world.claim(2)

    assert (["returned"], True) == ([wake.task_id for wake in claim.wakes], claim.is_mixed)
