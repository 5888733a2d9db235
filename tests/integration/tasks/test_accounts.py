"""Records of other accounts and other fleets."""

from __future__ import annotations

from collections.abc import Callable

from celery import Celery
from support.fleet import Fleet
from support.generations import MODEL, QUICK, Log, new_id, one
from support.waiting import wait_until

from mulequeue.ledger import Ledger
from mulequeue.settings import Settings

OTHER_KEY = "sk-mr-" + "f" * 64


def test_record_of_another_key_is_left_alone(fleet: Fleet) -> None:
    """A worker with another key never asks for a record; one that knows its fingerprint does."""
    fleet.emulator.faults(lives=[{"end": "never"}])
    with_key = fleet.worker(*QUICK)
    task_id = new_id()
    result = one(fleet).apply_async(task_id=task_id)
    fleet.emulator.wait(polls=1)
    with_key.stop()
    polls, log = fleet.emulator.stats()["polls"], Log(fleet)

    fleet.env["MULEROUTER_API_KEY"] = OTHER_KEY
    without_key = fleet.worker(*QUICK)
    log.wait_for("was submitted with an API key that this worker does not have")
    assert polls == fleet.emulator.stats()["polls"]
    assert "generating" == fleet.ledger.queries.record(task_id).state
    without_key.stop()

    fingerprint = Settings.load(fleet.app).profile().fingerprint
    fleet.env["MULEQUEUE_FORMER_FINGERPRINTS"] = fingerprint
    fleet.worker(*QUICK)
    fleet.emulator.finish(fleet.ledger.queries.record(task_id).remote_id)
    assert "succeeded" == result.get(timeout=30)["status"]


PROFILES = """
import os
mulequeue_profiles = {
    os.environ["OTHER_NAME"]: {"api_key": os.environ.get("OTHER_KEY"), "site": "mulerun"},
}
if "OTHER_URL" in os.environ:
    mulequeue_profiles[os.environ["OTHER_NAME"]]["base_url"] = os.environ["OTHER_URL"]
"""


def test_a_profile_without_a_key_here_stops_no_other(make_fleet: Callable[..., Fleet]) -> None:
    """A worker that lacks the key of one profile checks the generations of the others, and says so."""
    fleet = make_fleet(celeryconfig=PROFILES, env={"OTHER_NAME": "other"})
    log = Log(fleet)
    fleet.worker(*QUICK)

    outcome = one(fleet).delay().get(timeout=30)

    assert "succeeded" == outcome["status"]
    log.wait_for("No API key for profile 'other'")


def test_a_renamed_profile_is_checked_under_its_new_name(make_fleet: Callable[..., Fleet]) -> None:
    """Host and key decide which profile a running generation belongs to, not its name."""
    fleet = make_fleet(celeryconfig=PROFILES, env={"OTHER_NAME": "old", "OTHER_KEY": OTHER_KEY})
    fleet.env["OTHER_URL"] = fleet.emulator.url
    fleet.emulator.faults(lives=[{"end": "never"}])
    before = fleet.worker(*QUICK)
    result = one(fleet, profile="old").apply_async(task_id=new_id())
    fleet.emulator.wait(polls=1)
    before.stop()

    fleet.env["OTHER_NAME"] = "new"
    fleet.worker(*QUICK)
    fleet.emulator.finish(fleet.ledger.queries.record(result.id).remote_id)

    assert "succeeded" == result.get(timeout=30)["status"]


def test_fleets_on_one_redis_do_not_meet(fleet: Fleet) -> None:
    """Two fleets with a broker each and one Redis for both ledgers know nothing of each other."""
    blue_broker = fleet.redis.url.removesuffix("/0") + "/1"
    fleet.worker(*QUICK, wait=False)
    fleet.env |= {
        "MULEQUEUE_FLEET": "blue",
        "MULEQUEUE_BROKER_URL": blue_broker,
        "MULEQUEUE_RESULT_BACKEND": blue_broker,
    }
    for worker in (fleet.worker(*QUICK, wait=False), *fleet.workers):
        worker.wait_ready()
    blue = Celery("blue", broker=blue_broker, backend=blue_broker, set_as_current=False)
    task_id = new_id()

    one(fleet).apply_async(task_id=task_id)
    call = {"poll_interval": 0.1}
    blue.send_task("mulequeue.generate", (MODEL, {"prompt": "blue"}), call, task_id=task_id)

    ledgers = fleet.ledger, Ledger(fleet.redis.client, "blue")
    for ledger in ledgers:
        wait_until(lambda held=ledger: held.queries.counts().get("succeeded"), what="a success")
    assert ["a mule", "blue"] == [ledger.queries.record(task_id).label for ledger in ledgers]
    assert 2 == fleet.emulator.stats()["created"]
    assert [1, 1] == [ledger.queries.counts()["succeeded"] for ledger in ledgers]
    blue.close()
