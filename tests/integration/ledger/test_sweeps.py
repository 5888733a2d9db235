"""What a sweep claims, and what it may write back."""

from __future__ import annotations

import pytest
from support.ledger_world import SUBMIT_LEASE, TTL, World, marker_of

from mulequeue.ledger import Problem
from mulequeue.settings import Profile


def test_a_check_has_all_that_it_needs(world: World) -> None:
    """A claimed record tells its id, path, profile, counters and the deadline from its acceptance."""
    intent = world.submit("t", interval=4.0)
    submitted = world.clock
    world.clock += 9
    world.record_id(intent, "r", max_wait_seconds=600)

    (due,) = world.claim(4).polls

    assert ("t", "r", intent.path, "default") == (due.task_id, due.remote_id, due.path, due.profile)
    assert (0, 0, 4.0) == (due.polls, due.errors, due.interval)
    assert (submitted, submitted + 9, submitted + 609) == pytest.approx(
        (due.submitted, due.started, due.deadline)
    )


def test_waiting_does_not_burn_the_deadline(world: World) -> None:
    """The time a task waits before its POST is not counted as time of the generation."""
    world.requeue(world.submit("t"), 3000)
    (wake,) = world.claim(3001).wakes
    intent = world.intent("t", marker=marker_of(wake))
    world.ask(intent)

    world.record_id(intent, "r", max_wait_seconds=600)

    assert world.clock + 600 == pytest.approx(float(world.fields("record:t")["deadline"]))


def test_two_sweeps_share_nothing(world: World) -> None:
    """What one sweep claimed no other claims, until the claim lapses after five seconds."""
    for name in "abc":
        world.generating(name)

    first = world.claim(4, limit=2)
    second = world.claim()

    assert (2, 1) == (len(first.polls), len(second.polls))
    assert [] == world.claim(4).polls
    assert 3 == len(world.claim(2).polls)


def test_a_paused_sweep_that_comes_back_changes_nothing(world: World) -> None:
    """After a claim lapsed and was taken by another, its holder can write nothing at all."""
    world.generating("t")
    stale = world.claim(4).token
    world.claim(6)
    world.clock += 1
    before = world.everything()

    assert 0 == world.ledger.polling.reschedule(stale, [("t", world.clock + 99, 1, 0)])
    world.ledger.polling.renew(stale, ["t"])
    assert not world.ledger.generations.settle("t", stale, "succeeded", {}, polls=1)
    assert before == world.everything()


def test_a_renewed_claim_does_not_lapse(world: World) -> None:
    """A slow check keeps its record for as long as its sweep renews the claim."""
    world.generating("t")
    token = world.claim(4).token

    for _ in range(5):
        world.clock += 4
        world.ledger.polling.renew(token, ["t"])
        assert [] == world.claim().polls

    assert world.ledger.generations.settle("t", token, "succeeded", {}).wakes


def test_a_rescheduled_check_counts(world: World) -> None:
    """Checks and errors in a row are kept with the record, and good news clears the errors."""
    world.generating("t")
    token = world.claim(4).token
    assert 1 == world.ledger.polling.reschedule(token, [("t", world.clock + 10, 1, 2)])

    assert [] == world.claim(9).polls
    sweep = world.claim(1)
    assert (1, 2) == (sweep.polls[0].polls, sweep.polls[0].errors)
    world.ledger.polling.reschedule(sweep.token, [("t", world.clock, 1, 0)])

    (due,) = world.claim().polls
    assert (2, 0) == (due.polls, due.errors)


def test_an_outcome_is_written_once(world: World) -> None:
    """After a webhook settled a generation, the check that was under way changes nothing."""
    world.generating("t", "r")
    token = world.claim(4).token
    assert world.ledger.generations.settle("t", None, "succeeded", {"kind": "image"}).wakes

    assert not world.ledger.generations.settle("t", token, "failed", {}, polls=1)
    assert not world.ledger.generations.settle("t", None, "failed", {})
    record = world.ledger.queries.record("t")
    assert record is not None
    assert ("succeeded", {"kind": "image"}) == (record.status, record.answer)


def test_a_terminal_answer_is_settled_by_the_submitter(world: World) -> None:
    """A create that answers the end already is held by its submitter, or polled if that one dies."""
    intent = world.submit("t")
    assert "generating" == world.record_id(intent, "r", claim_token="held")[0]

    assert [] == world.claim(29).polls
    assert world.ledger.generations.settle("t", "held", "succeeded", {}).wakes

    other = world.submit("u")
    world.record_id(other, "s", claim_token="held")
    assert ["u"] == [due.task_id for due in world.claim(31).polls]


def test_a_lost_wake_is_repeated_ever_more_rarely(world: World) -> None:
    """An outcome is woken again after 30, 60, 120 … seconds, up to an hour, until it is heard."""
    wake = world.settled("t")

    waits = []
    for _ in range(9):
        waits.append(world.due("t"))
        assert [wake] == world.claim(waits[-1]).wakes

    assert [30, 60, 120, 240, 480, 960, 1920, 3600, 3600] == pytest.approx(waits)


def test_a_dead_submitter_leaves_an_unknown(world: World) -> None:
    """Nobody submits again for a worker that died after the intent: submit_unknown, and woken."""
    world.submit("t")

    assert [] == world.claim(SUBMIT_LEASE - 1).wakes
    (wake,) = world.claim(2).wakes

    record = world.deliver(wake).record
    assert record is not None
    assert "submit_unknown" == record.status


def test_wakes_are_bounded_and_nothing_is_skipped(world: World) -> None:
    """A claim brings at most so many wakes; the others stay due."""
    for index in range(5):
        world.settled(str(index))
    world.clock += 31

    first = world.claim(wake_limit=3)
    second = world.claim(wake_limit=3)

    assert (3, 2) == (len(first.wakes), len(second.wakes))
    assert 5 == len({wake.task_id for wake in first.wakes + second.wakes})


def test_what_a_worker_has_no_key_for_it_leaves(world: World) -> None:
    """Without the key a generation is not checked; it stays for others."""
    world.generating("t")
    stranger = Profile(name="default", base_url="https://other.example", api_key="other")
    world.clock += 5

    sweep = world.ledger.polling.claim([stranger])

    assert ([], []) == (sweep.polls, sweep.wakes)
    assert world.profile.fingerprint == sweep.unknown_key.split()[0]
    assert 1 == len(world.claim(8).polls)


def test_what_is_left_to_others_is_due_at_times_that_vary(world: World) -> None:
    """The poll messages of two workers alternate: at fixed intervals one could receive each that matters."""
    for name in "abc":
        world.generating(name)
    stranger = Profile(name="default", base_url="https://other.example", api_key="other")
    world.clock += 5

    world.ledger.polling.claim([stranger])

    waits = [world.due(name) for name in "abc"]
    assert 3 == len(set(waits))
    assert all(wait is not None and 2.5 <= wait <= 7.5 for wait in waits)


@pytest.mark.parametrize("key", ["other", ""])
def test_what_waits_needs_the_profile_and_not_the_key(world: World, key: str) -> None:
    """After a key was replaced, and by a worker without one, what was not sent yet is granted."""
    world.requeue(world.submit("t"), 1)
    today = Profile(name="default", base_url="https://other.example", api_key=key)
    world.clock += 5

    assert ["t"] == [wake.task_id for wake in world.ledger.polling.claim([today]).wakes]


def test_a_replaced_key_is_still_known(world: World) -> None:
    """A former fingerprint lets today's key go on with the generations of yesterday's."""
    world.generating("t")
    former = world.profile.fingerprint
    today = Profile(name="default", base_url=world.profile.base_url, api_key="new")
    world.clock += 5

    assert 1 == len(world.ledger.polling.claim([today], former_fingerprints=[former]).polls)


def named(name: str, key: str = "key") -> Profile:
    return Profile(name=name, base_url="https://api.example", api_key=key)


@pytest.mark.parametrize(
    ("profiles", "checked_as"),
    [
        ([named("new")], "new"),
        ([named("old"), named("new")], "old"),
        ([named("old", "other key"), named("new")], "new"),
        ([named("b"), named("a")], "a"),
    ],
)
def test_the_key_finds_the_profile(world: World, profiles: list[Profile], checked_as: str) -> None:
    """A renamed profile, or another one under its name: the record is checked with its own key."""
    world.generating("t", profile=named("old"))
    world.clock += 5

    (due,) = world.ledger.polling.claim(profiles).polls

    assert checked_as == due.profile


def test_a_former_key_of_no_profile_is_left(world: World) -> None:
    """Which profile a former key belongs to, only the name says; without it others have to know."""
    world.generating("t", profile=named("old"))
    former = named("old").fingerprint
    world.clock += 5

    sweep = world.ledger.polling.claim([named("new", "new")], former_fingerprints=[former])

    assert ([], f"{former} old") == (sweep.polls, sweep.unknown_key)


def test_a_profile_without_a_key_checks_nothing(world: World) -> None:
    """Also if the key of the record is known as a former one."""
    world.generating("t", profile=named("old"))
    former = named("old").fingerprint
    world.clock += 5

    sweep = world.ledger.polling.claim([named("old", "")], former_fingerprints=[former])

    assert ([], f"{former} old") == (sweep.polls, sweep.unknown_key)


def test_a_worker_may_leave_a_profile_to_others(world: World) -> None:
    """It takes no more checks of it than it says; the rest is due again about a second later."""
    for name in "abc":
        world.generating(name)

    assert [] == world.claim(5, checks={"default": 0}).polls
    assert [] == world.claim(0.4).polls
    assert 1 == len(world.claim(1.2, checks={"default": 1}).polls)
    assert 2 == len(world.claim(1.6).polls)


def test_a_problem_is_kept_until_it_is_over(world: World) -> None:
    """The reason comes with the next check, stays if nothing new is told of it, and can be removed."""
    world.generating("t")
    problem = Problem(world.clock, "error", "HTTP 500")
    seen = []

    for row in ((1, problem.dump()), (2,), (0, "")):
        sweep = world.claim(5)
        seen.append(sweep.polls[0].problem)
        world.ledger.polling.reschedule(sweep.token, [("t", world.clock, 1, *row)])

    assert ["", problem.dump(), problem.dump()] == seen
    assert world.ledger.queries.record("t").problem is None


def test_anybody_may_wake_what_is_settled(world: World) -> None:
    """An outcome needs no key to be handed on."""
    world.settled("t")
    world.clock += 31

    assert ["t"] == [wake.task_id for wake in world.ledger.polling.claim([]).wakes]


def test_records_of_a_newer_version_are_left_alone(world: World) -> None:
    """During a deployment an old worker puts a newer record off instead of guessing."""
    world.settled("t")
    world.redis.hset(world.key("record:t"), "v", 99)
    world.clock += 31

    assert [] == world.claim().wakes
    assert 5 == pytest.approx(world.due("t"), abs=2.5)


def test_what_is_gone_leaves_the_index(world: World) -> None:
    """An entry of the due index without a record behind it is dropped, not looked at for ever."""
    world.submit("t")
    world.redis.delete(world.key("record:t"))

    world.claim(SUBMIT_LEASE + 1)

    assert world.due("t") is None


# -- an outage of the API ----------------------------------------------------------------------


def test_an_outage_pauses_the_checks_of_its_profile(world: World) -> None:
    """While checks are paused nothing is claimed; what is due is spread over ten seconds after."""
    for index in range(20):
        world.generating(str(index))
    until = world.ledger.polling.trip("default", seconds=None, first=2, ceiling=60)
    assert world.clock + 2 == pytest.approx(until)
    world.ledger.polling.trip("default", seconds=30, first=2, ceiling=60)

    assert [] == world.claim(4).polls

    dues = sorted(world.due(str(index)) or 0 for index in range(20))
    assert 26 <= dues[0] < dues[-1] < 36
    assert dues[-1] - dues[0] > 5


def test_one_check_finds_out_whether_the_outage_is_over(world: World) -> None:
    """After the pause one check goes; its success opens the profile for everybody."""
    for index in range(20):
        world.generating(str(index))
    world.ledger.polling.trip("default", seconds=4, first=2, ceiling=60)

    sweep = world.claim(5)
    assert (1, ["default"]) == (len(sweep.polls), sweep.reopening)
    assert [] == world.claim(1).polls
    world.ledger.polling.recover("default")

    sweep = world.claim(20)
    assert (20, []) == (len(sweep.polls), sweep.reopening)


def test_only_some_without_errors_may_end_a_pause_early(world: World) -> None:
    """During a pause that the API did not ask for sixteen of them are checked in five seconds."""
    names = ["failing", *map(str, range(40))]
    for name in names:
        world.generating(name)
    world.redis.hset(world.key("record:failing"), "errors", 1)
    world.ledger.polling.trip("default", seconds=None, first=60, ceiling=60, probe_seconds=2)
    probes = []

    for seconds in (1, 1.5, 4, 1.5):
        world.redis.zadd(world.key("due"), dict.fromkeys(names, world.clock))
        probes.append({due.task_id for due in world.claim(seconds).polls})

    assert [0, 16, 0, 16] == [len(found) for found in probes]
    assert "failing" not in probes[1] | probes[3]


def test_a_worker_that_may_be_at_fault_leaves_the_probe_to_others(world: World) -> None:
    """After a pause it waits two more seconds than a worker that can connect."""
    world.generating("t")
    world.ledger.polling.trip("default", seconds=4, first=2, ceiling=60)
    world.clock += 5

    assert [] == world.claim(checks={"default": 1}).polls
    assert ["t"] == [due.task_id for due in world.claim(1).polls]


def test_the_reason_of_a_pause_is_known(world: World) -> None:
    """Until the pause ends."""
    assert world.ledger.polling.pause_of("default") is None
    until = world.ledger.polling.trip(
        "default", seconds=3600, first=2, ceiling=60, reason="HTTP 502"
    )
    assert (until, "HTTP 502") == world.ledger.polling.pause_of("default")


def test_an_outage_is_no_reason_to_time_out(world: World) -> None:
    """A record whose checks are paused past its deadline is still generating."""
    world.generating("t")
    world.ledger.polling.trip("default", seconds=3600, first=2, ceiling=60)

    world.claim(1000)

    assert "generating" == world.state("t")


def test_cancel_frees_a_claimed_record(world: World) -> None:
    """A generation that is cancelled while a check is under way is settled, whatever it finds."""
    world.generating("t")
    token = world.claim(4).token

    world.ledger.generations.cancel("t", ttl_seconds=TTL)

    assert not world.ledger.generations.settle("t", token, "succeeded", {})
    assert "cancelled" == world.fields("record:t")["status"]
