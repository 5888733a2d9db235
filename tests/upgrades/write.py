"""Write down what this version leaves in Redis, for the tests of those that come after it.

``make upgrade-fixture`` runs it once per release, on the release's own code. One worker meets every
state a generation can be in and is killed; then messages are sent that nobody takes. What Redis holds
then is the file ``<version>.json``.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from celery.utils import nodenames
from support.deaths import SHORT_VISIBILITY
from support.fleet import KEY, Fleet
from support.waiting import wait_until

import mulequeue
from mulequeue.ledger import outcome_of
from mulequeue.tasks.canvases import generate_many
from upgrades.dump import dump
from upgrades.endpoint import PATH, URL, Endpoint, remote_id_of

MODEL, VIDEO_MODEL = "alibaba/wan2.6-t2i", "alibaba/wan2.6-i2v"
BEHAVIOUR = {
    "failed": "fails",
    "generating": "never",
    "member-0": "never",
    "cancelled-late": "never",
    **{f"first-{number}": "never" for number in range(3)},
    "submitting": "held",
    "unknown": "lost",
    "paused": "refused",
    "downloading": "asset",
    "notifying": "unavailable",
}
HERE = Path(__file__).parent

# The accounts, and a worker that stands still while it publishes ``user.note`` for "delivering".
CONFIG = f"""
{SHORT_VISIBILITY}
mulequeue_profiles = {{
    "one_at_a_time": {{"api_key": {KEY!r}, "base_url": {URL!r}, "max_in_flight": 1}},
    "paused": {{"api_key": {KEY[::-1]!r}, "base_url": {URL!r}}},
}}
"""
STANDS_STILL = """
import pathlib, time
from celery import signals
from celery.utils import nodenames

nodenames.gethostname = lambda: "old"

@signals.before_task_publish.connect(weak=False)
def stand_still(sender=None, body=None, **_):
    if sender == "user.note" and body[1].get("path") == "delivering":
        pathlib.Path("stands-still").touch()
        time.sleep(600)
"""


class Orders:
    """The orders of the user, by the name of their generation, their note and their hook."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def generate(self, name: str, **call: Any) -> Any:
        call = {"on_failure": "return", "poll_interval": 0.5, **call}
        signature = self._fleet.task("mulequeue.generate", MODEL, {"prompt": name}, **call)
        return signature.set(task_id=name)

    def note(self, name: str) -> Any:
        return self._fleet.task("user.note", path=name)

    def notify(self, name: str) -> Any:
        return self._fleet.task("mulequeue.notify", f"{URL}/hook/{name}")

    def download(self) -> Any:
        return self._fleet.task("mulequeue.download")

    def batch(self, name: str, **call: Any) -> Any:
        prompts = [{"prompt": f"{name}-{number}"} for number in range(3)]
        call = {"notify": f"{URL}/hook/{name}", "poll_interval": 0.5, **call}
        return generate_many(MODEL, prompts, batch_id=name, **call)


def begin(fleet: Fleet, endpoint: Endpoint, orders: Orders) -> None:
    """Bring one generation into every state there is; the worker does not survive it."""
    worker = fleet.worker("-c", "6")
    (orders.generate("finished") | orders.download() | orders.note("finished")).delay()
    for name in ("failed", "unknown"):
        (orders.generate(name) | orders.note(name)).delay()
    for name in ("finished", "failed", "unknown"):
        wait_until((fleet.folder / name).exists, what=f"{name} to be noted")
        fleet.wait_for_state(name, "delivered")

    chain = orders.generate("generating") | orders.download() | orders.notify("generating")
    (chain | orders.note("generating")).delay()
    members = [orders.generate("member-0"), orders.generate("member-1")]
    fleet.chord(members, orders.note("member")).delay()
    orders.batch("first", profile="one_at_a_time").delay()
    (orders.generate("paused", profile="paused") | orders.note("paused")).delay()
    (orders.generate("delivering") | orders.note("delivering")).delay()
    (orders.generate("downloading") | orders.download() | orders.note("downloading")).delay()
    (orders.generate("notifying") | orders.notify("notifying") | orders.note("notifying")).delay()
    _wait_for_states(fleet, endpoint)

    fleet.app.control.cancel_consumer("mulequeue.wake", reply=True, timeout=5)
    (orders.generate("settled") | orders.note("settled")).delay()
    (orders.generate("cancelled-late") | orders.note("cancelled-late")).delay()
    fleet.wait_for_state("settled", "settled")
    fleet.wait_for_state("cancelled-late", "generating")
    fleet.ledger.generations.cancel("cancelled-late", ttl_seconds=86400)
    fleet.ledger.generations.cancel("cancelled-early", ttl_seconds=86400)
    (orders.generate("submitting") | orders.note("submitting")).delay()
    wait_until(lambda: "submitting" in endpoint.creates, what="the create of submitting")
    worker.kill()


def _wait_for_states(fleet: Fleet, endpoint: Endpoint) -> None:
    for task_id in ("generating", "member-0"):
        fleet.wait_for_state(task_id, "generating")
    fleet.wait_for_state("member-1", "delivered")
    batch = [f"first-{number:06}" for number in range(3)]
    states = ["generating", "waiting", "waiting"]
    wait_until(lambda: states == sorted(_state(fleet, each) for each in batch), what="the batch")
    wait_until(lambda: "paused" in endpoint.refused, what="the refusal")
    fleet.wait_for_state("paused", "waiting")
    wait_until((fleet.folder / "stands-still").exists, what="a delivery to stand still")
    wait_until(lambda: "downloading" in endpoint.asked, what="the download to begin")
    wait_until(lambda: "failed; retrying in" in fleet.logs, what="the notification to be put off")


def _state(fleet: Fleet, task_id: str) -> str:
    record = fleet.ledger.queries.record(task_id)
    return record.state if record else ""


def send(fleet: Fleet, orders: Orders) -> None:
    """Messages of every task, which nobody takes any more."""
    (orders.generate("unsent") | orders.note("unsent")).delay()
    orders.generate("finished").delay()
    (orders.generate("cancelled-early") | orders.note("cancelled-early")).delay()
    second = fleet.task(
        "mulequeue.generate_from", VIDEO_MODEL, {"prompt": "second"}, use="image", poll_interval=0.5
    )
    chain = orders.generate("chained") | second.set(task_id="second") | orders.note("second")
    chain.delay()
    adopt = fleet.task("mulequeue.adopt", PATH, remote_id_of("elsewhere"), poll_interval=0.5)
    (adopt.set(task_id="adopted") | orders.note("adopted")).delay()
    stored = outcome_of(fleet.ledger.queries.record("finished")).to_dict()
    (fleet.task("mulequeue.download", stored) | orders.note("downloaded")).delay()
    fleet.task("mulequeue.notify", "finished", f"{URL}/hook/told").delay()
    orders.batch("third").delay()
    orders.batch("fourth", notify=None).delay()


def main() -> None:
    os.environ["CI"] = "1"  # a missing server is an error
    nodenames.gethostname = lambda: "old"  # messages tell nothing of the machine
    with tempfile.TemporaryDirectory() as name, Endpoint(BEHAVIOUR) as endpoint:
        fleet = Fleet(
            Path(name),
            env={"MULEROUTER_BASE_URL": URL},
            celeryconfig=CONFIG + STANDS_STILL,
        )
        try:
            orders = Orders(fleet)
            begin(fleet, endpoint, orders)
            send(fleet, orders)
            content = {
                "mulequeue": mulequeue.__version__,
                "creates": sorted(endpoint.creates),
                "keys": dump(fleet.redis.client, taken_at=time.time(), folder=name),
            }
        finally:
            fleet.stop()
    path = HERE / f"{mulequeue.__version__}.json"
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    print(f"{path.name}: {len(content['keys'])} keys")


if __name__ == "__main__":
    main()
