"""What the fixtures do, as the tests of a user's project see it."""

from __future__ import annotations

import os

import pytest
import redis
from celery import Celery, chord, group, shared_task

from mulequeue import download, generate, generate_many, notify
from mulequeue.errors import DownloadError

MODEL = "alibaba/wan2.6-t2i"
app = Celery("proj", broker="amqp://nowhere.invalid", backend="rpc://")
app.conf.update(
    task_always_eager=True,
    task_routes={"check_fixtures.*": {"queue": "notes"}},
    mulequeue_storage="s3://production",
    mulequeue_notification_secret="whsec_cHJvZHVjdGlvbg==",
    mulequeue_profiles={"other": {"api_key": "muk-real", "site": "mulerun", "max_in_flight": 2}},
)
ran: list[str] = []


@shared_task
def note(value, word="ran"):
    ran.append(word)
    return word


@shared_task
def breaks(value):
    raise KeyError("mine")


@shared_task
def always(words):
    return [item["status"] for item in words]


def picture(prompt, **options):
    return generate.s(MODEL, {"prompt": prompt}, **options)


def test_nothing_leads_to_the_users_own_servers(mulequeue_worker, mulequeue_redis):
    """Broker, results, storage, secret, keys and hosts are the tests' own."""
    production = ("nowhere.invalid", "rpc://", "s3://", "cHJvZHVjdGlvbg", "muk-real", "mulerun")
    told = str([app.conf[name] for name in app.conf.changes])

    assert not [word for word in production if word in told]
    assert mulequeue_redis == app.conf.broker_url == os.environ["MULEQUEUE_REDIS_URL"]
    assert "127.0.0.1" in os.environ["MULEROUTER_BASE_URL"]


def test_a_profile_of_the_users_own_leads_to_the_emulator_as_well(mulequeue_worker):
    """The name is the user's, the account is not."""
    outcome = mulequeue_worker.run_until_settled(picture("a mule", profile="other").delay())

    assert ("succeeded", "other") == (outcome.status, outcome.profile)
    assert outcome.base_url == os.environ["MULEROUTER_BASE_URL"]


def test_a_group_gives_a_list(mulequeue_worker):
    """One outcome for each member, in order."""
    result = group(picture("one"), picture("two")).delay()

    outcomes = mulequeue_worker.run_until_settled(result)

    assert ["succeeded", "succeeded"] == [outcome.status for outcome in outcomes]


def test_a_batch_gives_what_its_task_returns(mulequeue_worker):
    """The short form of each member, with the URLs of its files."""
    result = generate_many(MODEL, [{"prompt": "one"}, {"prompt": "two"}]).delay()

    members = mulequeue_worker.run_until_settled(result)

    assert [("succeeded", 1)] * 2 == [(item["status"], len(item["files"])) for item in members]


def test_a_chord_gives_what_its_body_returns(mulequeue_worker, mulequeue_emulator):
    """A failed member is a value for the body."""
    mulequeue_emulator.script("bad", fails=3005)
    header = [picture(prompt, on_failure="return") for prompt in ("good", "bad")]

    result = chord(header, always.s()).delay()

    assert ["succeeded", "failed"] == mulequeue_worker.run_until_settled(result)


def test_an_error_of_the_users_own_is_raised(mulequeue_worker):
    """It is no outcome."""
    with pytest.raises(KeyError, match="mine"):
        mulequeue_worker.run_until_settled((picture("a mule") | breaks.s()).delay())


def test_a_task_id_is_enough(mulequeue_worker):
    """A view answers with an id, and the test waits for that."""
    picture("a mule").apply_async(task_id="order-1")

    assert "succeeded" == mulequeue_worker.run_until_settled("order-1").status


def test_without_an_argument_everything_is_done(mulequeue_worker):
    """Also what follows in the chain."""
    ran.clear()
    (picture("a mule") | download.s() | note.s("last")).delay()

    mulequeue_worker.run_until_settled()

    assert ["last"] == ran


def test_what_does_not_end_is_told(mulequeue_worker, mulequeue_emulator):
    """The error says what is left."""
    mulequeue_emulator.script("stubborn", never=True)
    picture("stubborn").apply_async(task_id="stubborn-1")

    with pytest.raises(TimeoutError, match="stubborn-1"):
        mulequeue_worker.run_until_settled(timeout_seconds=0.3)


def test_one_test_leaves_nothing_for_the_next(mulequeue_worker, mulequeue_emulator):
    """Neither generations nor scripts nor messages nor records."""
    mulequeue_worker.run_until_settled(timeout_seconds=5)
    picture("stubborn").apply_async(task_id="stubborn-1")

    assert "succeeded" == mulequeue_worker.run_until_settled("stubborn-1").status
    assert ["stubborn"] == mulequeue_emulator.prompts()


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ({"fails": 3001}, "failed"),
        ({"empty": True}, "failed"),
        ({"refused": 422}, "failed"),
        ({"refused": 429, "times": 2}, "succeeded"),
        ({"lost": True}, "submit_unknown"),
        ({"seconds": 0.3}, "succeeded"),
        ({"polls": 3}, "succeeded"),
    ],
)
def test_a_script_says_what_becomes_of_a_prompt(
    mulequeue_worker, mulequeue_emulator, script, status
):
    """Of prompts that contain it, and of no other."""
    mulequeue_emulator.script("special", **script)

    special = picture("something special").delay()
    usual = picture("something else").delay()

    assert status == mulequeue_worker.run_until_settled(special).status
    assert "succeeded" == mulequeue_worker.run_until_settled(usual).status


def test_the_latest_script_holds(mulequeue_worker, mulequeue_emulator):
    """A narrower word after a wider one."""
    mulequeue_emulator.script("a", fails=3001)
    mulequeue_emulator.script("a mule", seconds=0)

    assert "succeeded" == mulequeue_worker.run_until_settled(picture("a mule").delay()).status


def test_an_api_that_was_away_is_forgotten_by_the_next_test(mulequeue_worker, mulequeue_emulator):
    """Status checks pause after many errors; this test leaves them paused."""
    mulequeue_emulator.faults(polls=[{"do": "status", "status": 500}])
    for number in range(20):
        picture(f"p{number}").delay()
    mulequeue_emulator.wait(polls=10)


def test_so_it_is(mulequeue_worker):
    """A generation after that ends as quickly as ever."""
    assert "succeeded" == mulequeue_worker.run_until_settled(picture("a mule").delay()).status


def test_notifications_are_repeated_until_they_are_taken(mulequeue_worker, mulequeue_notifications):
    """The first is turned away; the second has the same content and a good signature."""
    mulequeue_notifications.refuse(503)
    (picture("a mule") | notify.s(mulequeue_notifications.url)).delay()

    told = mulequeue_notifications.wait()

    assert ["generation.succeeded"] == [item.type for item in told]
    mulequeue_worker.run_until_settled()
    assert 1 == len(mulequeue_notifications.received)


def test_a_task_that_is_routed_elsewhere_runs_as_well(mulequeue_worker):
    """The worker takes the queues that the app's routes name."""
    result = note.delay(None, "routed")

    assert "routed" == mulequeue_worker.run_until_settled(result)
    assert "notes" in app.amqp.queues.consume_from


def test_a_batch_is_known_by_its_id(mulequeue_worker, mulequeue_storage):
    """The outcomes of its members with their files, in the order of the inputs."""
    generate_many(MODEL, [{"prompt": str(n)} for n in range(5)], batch_id="mine").delay()

    outcomes = mulequeue_worker.run_until_settled("mine")

    assert [f"mine-{n:06d}" for n in range(5)] == [outcome.task_id for outcome in outcomes]
    assert [1] * 5 == [len(outcome.files) for outcome in outcomes]
    assert 5 == len(list(mulequeue_storage.rglob("*.png")))


def test_a_failed_download_is_raised(mulequeue_worker, mulequeue_emulator):
    """After the attempts that it is worth."""
    mulequeue_emulator.faults(downloads=[{"do": "status", "status": 404}], asset_renewal=False)

    with pytest.raises(DownloadError):
        mulequeue_worker.run_until_settled((picture("a mule") | download.s()).delay())


def test_a_direct_call_needs_no_worker(mulequeue_emulator):
    """It waits in line, quickly."""
    assert "succeeded" == generate(MODEL, {"prompt": "a mule"})["status"]


def test_patches_of_a_test_reach_the_tasks(mulequeue_worker, monkeypatch):
    """The worker runs in the same process."""
    monkeypatch.setitem(globals(), "ran", found := [])

    mulequeue_worker.run_until_settled((picture("a mule") | note.s("here")).delay())

    assert ["here"] == found


def test_the_redis_is_a_real_one(mulequeue_redis):
    """And it answers."""
    with redis.Redis.from_url(mulequeue_redis) as client:
        assert client.ping()


def test_what_is_no_result_is_refused(mulequeue_worker):
    """A signature was never started."""
    with pytest.raises(TypeError, match="takes a result, an id or nothing"):
        mulequeue_worker.run_until_settled(picture("a mule"))
