"""Deliveries of one generation: what each is told, and what it leaves in the ledger."""

from __future__ import annotations

import pytest
from support.ledger_world import SUBMIT_LEASE, TTL, World, marker_of

from mulequeue.ledger import unpack
from mulequeue.outcome import File

STATES = ("waiting", "submitting", "generating", "settled", "delivering", "delivered")


# -- which message may do what ---------------------------------------------------------------


@pytest.mark.parametrize("state", STATES)
def test_an_unmarked_message_never_touches_an_existing_record(world: World, state: str) -> None:
    """An unmarked message for an existing record neither submits nor delivers nor writes."""
    world.put(state)
    before = world.everything()

    same = world.ask(world.intent("t"))
    other = world.ask(world.intent("t", digest="another input"))

    assert ("duplicate", state, True) == (same.action, same.state, same.is_same_input)
    assert ("duplicate", state, False) == (other.action, other.state, other.is_same_input)
    assert before == world.everything()


@pytest.mark.parametrize("state", ["none", "tombstone", *STATES])
def test_a_marked_message_of_another_epoch_does_nothing(world: World, state: str) -> None:
    """A marked message acts only on a record of its own epoch, and never creates one."""
    world.put(state)
    before = world.everything()

    verdict = world.ask(world.intent("t", marker="of another life"))

    assert "stale" == verdict.action
    assert before == world.everything()


@pytest.mark.parametrize("state", ["submitting", "generating", "delivering", "delivered"])
def test_a_second_wake_finds_nothing_to_do(world: World, state: str) -> None:
    """A wake that arrives twice is ignored while somebody has the task, and after the delivery."""
    world.put(state, epoch="e")
    before = world.everything()

    verdict = world.ask(world.intent("t", marker="e"))

    assert "busy" == verdict.action
    assert before == world.everything()


def test_the_intent_is_there_before_the_post_leaves(world: World) -> None:
    """Who is told to submit has left the record, the signature and a due time behind."""
    intent = world.submit("t")

    assert "submitting" == world.state("t")
    assert SUBMIT_LEASE == pytest.approx(world.due("t"))
    stored = world.redis.get(world.key("parked:t"))
    assert intent.signature == unpack(stored)
    assert {"submitting": 1} == world.ledger.queries.counts()


def test_a_record_keeps_the_account_that_was_asked(world: World) -> None:
    """A task parked under a key that was replaced meanwhile is sent, and kept, under the new one."""
    world.put("waiting", epoch="e")
    world.profile = type(world.profile)(
        name="default", base_url="https://other.example", api_key="new"
    )
    world.clock += 400

    assert "submit" == world.ask(world.intent("t", marker="e")).action

    fields = world.fields("record:t")
    assert world.profile.fingerprint == fields["key"]
    assert "https://other.example" == fields["base_url"]


# -- refused before the POST -----------------------------------------------------------------


def test_an_input_that_cannot_be_sent_is_settled_at_once(world: World) -> None:
    """A refusal before the intent is the outcome: settled, with its wake, never submitted."""
    refusal = {"error": {"type": "InputError", "title": "no prompt"}}

    verdict = world.ask(world.intent("t", refusal=refusal))

    assert "wake" == verdict.action
    (wake,) = verdict.effects.wakes
    record = world.deliver(wake).record
    assert record is not None
    assert ("failed", refusal) == (record.status, record.answer)


def test_a_woken_task_that_can_no_longer_be_sent_is_settled(world: World) -> None:
    """A waiting task whose worker refuses it when it is woken fails; it does not wait for ever."""
    world.put("waiting", epoch="e")

    verdict = world.ask(world.intent("t", marker="e", refusal={"error": {"type": "InputError"}}))

    assert "wake" == verdict.action
    assert ("settled", "failed") == (world.state("t"), world.fields("record:t")["status"])


def test_a_refusal_says_nothing_once_the_task_was_sent(world: World) -> None:
    """The message of a settled task has lost its input; what its check says is not asked."""
    wake = world.settled("t")

    verdict = world.deliver(wake, refusal={"error": {"type": "InputError"}})

    assert verdict.record is not None
    assert ("deliver", "succeeded") == (verdict.action, verdict.record.status)


def test_a_run_from_another_life_says_nothing_of_this_one(world: World) -> None:
    """After Redis lost a record, the run it knew can neither retract nor settle its successor."""
    lost = world.submit("t")
    world.redis.flushall()
    world.submit("t")
    before = world.everything()

    assert world.requeue(lost) is None
    assert not world.ledger.generations.settle_submit(lost, "failed", None)
    assert before == world.everything()


# -- the second delivery ---------------------------------------------------------------------


def test_one_delivery_at_a_time(world: World) -> None:
    """A second delivery is busy while the first holds its claim, and takes over when it lapsed."""
    wake = world.settled("t")
    assert "deliver" == world.deliver(wake).action

    assert "busy" == world.deliver(wake).action
    world.clock += 31

    assert "deliver" == world.deliver(wake).action


def test_a_lapsed_delivery_is_woken_again(world: World) -> None:
    """A worker that dies while it hands an outcome on is followed by another within 31 seconds."""
    wake = world.settled("t")
    world.deliver(wake)

    assert [] == world.claim(29).wakes

    assert [wake] == world.claim(2).wakes
    assert "deliver" == world.deliver(wake).action


def test_delivered_is_the_end(world: World) -> None:
    """What was delivered leaves the due index, loses its signature and lives for the record's time."""
    world.put("delivered", batch_id="b", batch_size=1)

    assert world.due("t") is None
    assert not world.redis.exists(world.key("parked:t"))
    for name in ("record:t", "outcome:t", "remote:r", "batch:b"):
        assert 0 < world.redis.ttl(world.key(name)) <= TTL


def test_a_batch_outlives_its_last_member(world: World) -> None:
    """Counts of a batch do not expire while a member is under way."""
    wake = world.settled("t", batch_id="b", batch_size=2)
    world.generating("u", batch_id="b", batch_size=2)

    world.deliver(wake)
    world.ledger.generations.end_delivery("t", marker_of(wake), ttl_seconds=TTL)

    assert -1 == world.redis.ttl(world.key("batch:b"))


def test_a_later_member_keeps_its_batch(world: World) -> None:
    """A batch whose first members are all history stops expiring when the next one starts."""
    world.put("delivered", batch_id="b", batch_size=2)

    world.submit("u", batch_id="b", batch_size=2)

    assert -1 == world.redis.ttl(world.key("batch:b"))


def test_a_poisoned_delivery_fails_and_then_stops(world: World) -> None:
    """The fifth delivery turns the outcome into a failure; after ten it is given up, not looped."""
    wake = world.settled("t")
    statuses = []
    for _ in range(10):
        record = world.deliver(wake).record
        assert record is not None
        statuses.append(record.status)
        world.clock += 31

    assert ["succeeded"] * 4 + ["failed"] * 6 == statuses
    assert "abandoned" == world.deliver(wake).action
    assert world.due("t") is None
    world.check()


def test_delivered_of_another_epoch_changes_nothing(world: World) -> None:
    """A delivery from before Redis lost the record cannot close the record that followed it."""
    world.put("delivering")
    before = world.everything()

    assert not world.ledger.generations.end_delivery("t", "of another life", ttl_seconds=TTL)
    assert before == world.everything()


# -- files -----------------------------------------------------------------------------------


def test_files_count_once_and_leave_nothing_behind(world: World) -> None:
    """Files are counted at the first download, and not kept for a record that is gone."""
    world.settled("t")

    world.ledger.generations.record_files("t", [])
    world.ledger.generations.record_files("t", [])
    world.ledger.generations.record_files("gone", [])

    assert 1 == world.ledger.queries.counts()["downloaded"]
    assert not world.redis.exists(world.key("files:gone"))


def test_files_stay_recorded_when_a_repeated_download_fails(world: World) -> None:
    """The files of an earlier download are there, whatever came of the next one."""
    world.settled("t")
    file = File(url="file:///a.png", kind="image", media_type="image/png", bytes=7)
    world.ledger.generations.record_files("t", [file])

    world.ledger.generations.record_files("t", (), error="no file")

    record = world.ledger.queries.record("t")
    assert record is not None
    assert ((file,), None) == (record.files, record.file_error)
    assert 1 == world.ledger.queries.counts()["files"]


def test_a_delivery_is_renewed_while_it_publishes(world: World) -> None:
    """The claim of a running delivery lasts as long as its run renews it, and no longer."""
    wake = world.settled("t")
    run = world.intent("t", marker=marker_of(wake))
    assert "deliver" == world.ask(run).action

    for _ in range(5):
        world.clock += 25
        assert world.ledger.generations.keep_delivery("t", run.epoch, run.run)
        assert "busy" == world.deliver(wake).action

    assert not world.ledger.generations.keep_delivery("t", run.epoch, "another run")
    assert ["t"] == [found.task_id for found in world.claim(31).wakes]
    assert "deliver" == world.deliver(wake).action
    assert not world.ledger.generations.keep_delivery("t", run.epoch, run.run)
