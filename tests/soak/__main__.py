"""``python -m soak --seed 1 --minutes 10`` in the folder of the tests: exit 1 if anything was lost."""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from support.deaths import SHORT_VISIBILITY
from support.fleet import Fleet
from support.receiver import Receiver
from support.redis_server import RedisServer
from support.webhook_server import WebhookServer

from soak.orders import FAILS, ODD, Orders
from soak.troubles import WORKERS, Troubles
from soak.verdict import Verdict

QUIET_SECONDS = 480
"""At most so long after the last trouble until everything has come to its end: a lost wake is
repeated after 30, 60, 120 … seconds."""
IDLE_SECONDS = 25
"""With nothing in the ledger for so long, an order without an end was lost by the broker."""
# The lease of a submission is its timeout and 15 seconds.
ENV = {"MULEQUEUE_SUBMIT_TIMEOUT_SECONDS": "6", "MULEQUEUE_POLL_TIMEOUT_SECONDS": "8"}
ODD_LIVES = [
    {"active_word": "warming_up", "hidden_polls": 1},
    {"at_create": True},
    {"retrying": True, "seconds": 6},
]
LIVES = [
    {"contains": FAILS, "end": "failed"},
    *({"contains": f"{ODD}{number}", **life} for number, life in enumerate(ODD_LIVES)),
    {},
]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=10, help="of troubles; then it gets quiet")
    parser.add_argument("--per-minute", type=float, default=50, help="generations asked for")
    parser.add_argument(
        "--broker",
        choices=["redis", "redis-apart", "rabbitmq"],
        default="redis",
        help="redis-apart: the ledger is on another Redis",
    )
    parser.add_argument("--without-webhooks", action="store_true", help="status checks alone")
    parser.add_argument("--keep", action="store_true", help="keep logs and files")
    return parser.parse_args()


def _statuses(chance: random.Random) -> list[int]:
    """Every tenth notification is refused, never two in a row."""
    return [503 if n % 2 and chance.random() < 0.2 else 200 for n in range(2000)]


def _start(folder: Path, broker: Any) -> Fleet:
    env, conf = dict(ENV), SHORT_VISIBILITY
    if broker is not None:
        env["MULEQUEUE_BROKER_URL"] = broker.url
    fleet = Fleet(
        folder,
        min_seconds=1,
        max_seconds=8,
        persistent=True,
        env=env,
        celeryconfig=conf,
        emulator={"faults": {"lives": LIVES}},
    )
    if broker is not None:
        fleet.app.conf.broker_url = broker.url
    return fleet


def _start_broker(name: str, folder: Path, stack: ExitStack) -> Any:
    """Start the broker; None: the ledger's Redis is the broker."""
    if name == "redis":
        return None
    folder.mkdir()
    if name == "rabbitmq":
        from support.rabbitmq_server import RabbitServer

        return stack.enter_context(RabbitServer(folder))
    broker = RedisServer(folder, persistent=True)
    stack.callback(broker.stop)
    return broker


def _trouble(troubles: Troubles, chance: random.Random, minutes: float) -> None:
    ends = time.monotonic() + 60 * minutes
    next_at = time.monotonic() + 5
    while time.monotonic() < ends:
        troubles.put_right()
        if time.monotonic() >= next_at:
            troubles.make_one()
            next_at = time.monotonic() + chance.uniform(1, 5)
        time.sleep(0.2)


def _settle(fleet: Fleet, orders: Orders) -> tuple[float, list[str]]:
    """Wait until all is over; the seconds that took, and the orders that were sent again.

    A Redis broker loses the message that it hands to a worker in the moment the worker is killed.
    What nobody ever began is sent again, as a user would, under the same ids. What was sent again and
    has ended all the same without a word from the user's own task was lost behind ours.
    """
    began = idle_since = time.monotonic()
    again: list[str] = []
    while (seconds := time.monotonic() - began) < QUIET_SECONDS:
        is_idle = not fleet.redis.client.zcard("mulequeue:{default}:due")
        if is_idle and not set(orders.open()) - set(orders.ended(again)):
            break
        if not is_idle:
            idle_since = time.monotonic()
        if time.monotonic() - idle_since > IDLE_SECONDS:
            idle_since = time.monotonic()
            again += orders.send_open_again()
        time.sleep(0.5)
    return seconds, again


def _run(arguments: argparse.Namespace, folder: Path) -> bool:
    chance = random.Random(arguments.seed)
    with ExitStack() as stack:
        broker = _start_broker(arguments.broker, folder / "broker", stack)
        receiver = stack.enter_context(Receiver(_statuses(chance)))
        fleet = stack.enter_context(_start(folder, broker))
        told = None if arguments.without_webhooks else {"copies": 2, "reorder": True}
        webhooks = WebhookServer(fleet, told)
        stack.callback(webhooks.stop)
        orders = Orders(fleet, receiver, random.Random(chance.random()))
        troubles = Troubles(fleet, orders, webhooks, random.Random(chance.random()), broker)
        stack.callback(troubles.stop)
        for _ in range(WORKERS):
            troubles.start_a_worker()
        for worker in fleet.workers:
            worker.wait_ready()
        stop = threading.Event()
        sender = threading.Thread(
            target=orders.send,
            args=(stop,),
            kwargs={"per_minute": arguments.per_minute},
            daemon=True,
        )
        sender.start()
        try:
            _trouble(troubles, chance, arguments.minutes)
        finally:
            stop.set()
            troubles.quiet()
        sender.join()
        fleet.app.set_current()
        seconds, again = _settle(fleet, orders)
        verdict = Verdict(fleet, orders, receiver)
        heard = {name: at for name, at, _ in reversed(orders.seen())}
        slowest = max((heard[o.name] - o.sent for o in orders.all if o.name in heard), default=0.0)
        verdict.rows |= {
            "seconds from the last trouble to the end of everything": round(seconds),
            "orders sent again, for the broker had lost a message": len(set(again)),
            "slowest order, seconds": round(slowest),
            "troubles": sum(troubles.made[name] for name in troubles.made if "_" in name),
            "cores": os.cpu_count(),
        }
        print(verdict.text())
        print(*(f"  {name}: {count}" for name, count in sorted(troubles.made.items())), sep="\n")
        return verdict.is_good


def main() -> int:
    """The exit code."""
    arguments = _arguments()
    folder = Path(tempfile.mkdtemp(prefix="mulequeue-soak-"))
    is_good = False
    try:
        is_good = _run(arguments, folder)
    finally:
        if is_good and not arguments.keep:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"logs and files are in {folder}")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
