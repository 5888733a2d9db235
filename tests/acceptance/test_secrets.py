"""Keys, secrets and passwords stand nowhere: not in logs, output, Redis, results or exceptions."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from support.fleet import Fleet
from support.generations import MODEL, new_id, one
from support.proxy_server import ProxyServer
from support.receiver import Receiver
from support.waiting import wait_until

from mulequeue.api import client, status_checks
from mulequeue.errors import MuleQueueError
from mulequeue.ledger import Ledger, unpack
from mulequeue.ledger.packed import unpack_record
from mulequeue.settings import Settings
from mulequeue.transfer import notifications
from mulequeue.transfer.notifications import Notification

KEY = "sk-mr-" + "feedc0de" * 8
SECRET = "whsec_" + base64.b64encode(b"marked secret of notifications!").decode()
NO_SECRET = "whsec_marked-but-no-base64"
PROXY = "mule:marked-password-of-the-proxy"
REDIS_PASSWORD = "marked-password-of-redis"
MARKED = (
    KEY,
    SECRET.removeprefix("whsec_"),
    NO_SECRET.removeprefix("whsec_"),
    PROXY.partition(":")[2],
    base64.b64encode(PROXY.encode()).decode(),
    REDIS_PASSWORD,
)
ENDS = {
    "fine": {},
    "bad": {"end": "failed", "detail": "not allowed"},
    "bare": {"end": "empty"},
    "long": {"end": "never"},
}
REFUSALS = (400, 401, 402, 403, 404, 422, 451, 500)


def found_in(text: str) -> list[str]:
    """Which marked words a text holds; messages of the broker are decoded first."""
    decoded = [text]
    for body in re.findall(r'"body": ?"([A-Za-z0-9+/=]+)"', text):
        with suppress(ValueError):
            decoded.append(base64.b64decode(body).decode(errors="replace"))
    return [word for word in MARKED if any(word in part for part in decoded)]


def redis_text(fleet: Fleet) -> str:
    """Every key and every value of Redis, parked signatures unpacked."""
    client_ = fleet.redis.client
    read: dict[bytes, Callable[[bytes], Any]] = {
        b"hash": client_.hgetall,
        b"list": lambda key: client_.lrange(key, 0, -1),
        b"set": client_.smembers,
        b"zset": lambda key: client_.zrange(key, 0, -1),
    }
    texts = []
    for key in client_.scan_iter():
        held = read.get(client_.type(key), client_.get)(key)
        values = held if isinstance(held, (list, set)) else [held]
        values = [*held.keys(), *held.values()] if isinstance(held, dict) else values
        texts.append(key.decode())
        if b"record:" in key:
            texts.append(str(unpack_record(held, None, None)))
        for value in values:
            texts.append(value.decode(errors="replace") if value else "")
            with suppress(Exception):  # most values are no signatures
                texts.append(str(unpack(value)))
    return "\n".join(texts)


def run(fleet: Fleet, *command: str) -> str:
    """What a command prints, errors and debugging included."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        env=fleet.env,
        cwd=fleet.folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.stdout + done.stderr


@pytest.fixture
def fleet(make_fleet: Any) -> Fleet:
    """A fleet with a marked key, secret and Redis password."""
    lives = [{"contains": word, **life, "seconds": 0.2} for word, life in ENDS.items()]
    env = {"MULEROUTER_API_KEY": KEY, "MULEQUEUE_NOTIFICATION_SECRET": SECRET}
    # A generation that completed without files ends after this time.
    env["MULEQUEUE_NOT_FOUND_GRACE_SECONDS"] = "2"
    made: Fleet = make_fleet(env=env, emulator={"faults": {"lives": lives}})
    made.redis.client.config_set("requirepass", REDIS_PASSWORD)
    made.redis.client.close()
    made.redis.client = redis.Redis(port=made.redis.port, password=REDIS_PASSWORD)
    url = f"redis://:{REDIS_PASSWORD}@127.0.0.1:{made.redis.port}/0"
    made.env["MULEQUEUE_REDIS_URL"] = url
    made.app.conf.update(broker_url=url, result_backend=url, mulequeue_redis_url=url)
    made.ledger = Ledger.of(Settings.load(made.app))
    return made


def test_a_fleet_tells_no_secrets(fleet: Fleet) -> None:
    """Whatever generations come to: nothing marked is logged, printed, stored or raised."""
    fleet.worker()
    bursts = [{"do": "status", "status": n, "contains": f"is {n}", "count": 1} for n in REFUSALS]
    # An API that repeats the key in its answer.
    bursts += [{"do": "status", "status": 403, "contains": "echo", "detail": f"no such key: {KEY}"}]
    bursts += [{"do": "drop_after", "contains": "lost"}, {"do": "edge_block", "contains": "edge"}]
    fleet.emulator.faults(creates=bursts)
    prompts = [*ENDS, *(f"is {n}" for n in REFUSALS), "echo", "lost", "edge"]
    seen: list[str] = []

    with Receiver() as receiver:
        chain = one(fleet, "fine") | fleet.task("mulequeue.download")
        seen.append(
            str((chain | fleet.task("mulequeue.notify", receiver.url)).delay().get(timeout=60))
        )
        results = {p: one(fleet, p).apply_async(task_id=new_id("s")) for p in prompts}
        ended = {word: result for word, result in results.items() if word != "long"}
        for result in ended.values():
            with suppress(MuleQueueError):
                seen.append(str(result.get(timeout=60)))
            seen += [repr(result.result), str(result.result), str(result.traceback)]
    fleet.wait_for_state(results["long"].id, "generating")
    for command in (
        "status",
        "list",
        f"status {results['echo'].id}",
        f"status {results['long'].id}",
    ):
        seen.append(run(fleet, "mulequeue", "--debug", *command.split()))
    seen += [run(fleet, "celery", "-A", "mulequeue", *c) for c in (["report"], ["inspect", "conf"])]

    assert len(ended) == sum(result.ready() for result in ended.values())
    assert "no such key: sk-mr-…" in "\n".join(seen)
    stored = redis_text(fleet)
    assert results["long"].id in stored
    assert ([], [], []) == (found_in("\n".join(seen)), found_in(fleet.logs), found_in(stored))


def test_what_goes_wrong_tells_no_secrets(fleet: Fleet) -> None:
    """A wrong key, a secret that is none, and a proxy that refuses are told without them."""
    fleet.emulator.faults(require_key="sk-mr-another")
    with ProxyServer({}, login="somebody:else") as proxy:
        fleet.env |= {"MULEQUEUE_NOTIFICATION_SECRET": NO_SECRET}
        seen = [run(fleet, "mulequeue", "--debug", "run", MODEL, "a mule", "--local")]
        fleet.env |= {"HTTP_PROXY": f"http://{PROXY}@127.0.0.1:{proxy.port}"}
        fleet.env |= {"MULEROUTER_BASE_URL": "http://api.test"}
        seen.append(run(fleet, "mulequeue", "--debug", "run", MODEL, "a mule", "--local"))
        worker = fleet.worker()
        one(fleet).delay()
        told = fleet.task("mulequeue.notify", "https://hooks.test/").clone(
            ({"task_id": "t", "status": "succeeded", "remote_id": "r"},)
        )
        told.delay()
        wait_until(lambda: "notification_secret" in worker.text, what="the secret's refusal")
        wait_until(lambda: "submissions paused" in worker.text, what="the proxy's refusal")
        seen.append(run(fleet, "mulequeue", "--debug", "doctor"))

    assert "401" in seen[0] or "key" in seen[0].lower()
    assert "notification_secret" in seen[2]  # the doctor reports what waits
    assert proxy.refused
    assert [] == found_in("\n".join([*seen, fleet.logs, redis_text(fleet)]))


def attempts(settings: Settings) -> list[Callable[[], Any]]:
    """What can be done with settings, and may go wrong."""
    profile, path = settings.profile(), "/vendors/a/v1/b"
    told = Notification(id="msg_1", target="https://hooks.test/", body=b"{}")
    return [
        lambda: settings,
        lambda: profile,
        lambda: settings.profile("more"),
        lambda: client.submit_once(profile, path, {}, settings=settings),
        lambda: status_checks.fetch_once(profile, path, "r1", settings=settings),
        lambda: notifications.send_notification(
            told, settings=settings, timestamp=datetime.now(UTC)
        ),
        lambda: Ledger.of(settings).queries.record("t"),
    ]


def shown(attempt: Callable[[], Any]) -> str:
    """What comes back, or the exception in every form."""
    try:
        return repr(attempt())
    except Exception as exc:
        return "".join(traceback.format_exception(exc)) + repr(exc) + repr(exc.args)


@pytest.mark.parametrize("base_url", ["http://api.test", "https://api.test"])
@pytest.mark.parametrize("secret", [SECRET, NO_SECRET], ids=["secret", "none"])
def test_representations_and_exceptions_tell_no_secrets(
    monkeypatch: Any, secret: str, base_url: str
) -> None:
    """Settings, profiles, and every exception with its traceback, also over a proxy that refuses."""
    settings = Settings(
        api_key=KEY,
        base_url=base_url,
        notification_secret=secret,
        redis_url=f"redis://:{REDIS_PASSWORD}@127.0.0.1:1/0",
        profiles={"more": {"api_key": KEY, "unknown": 1}},
    )
    texts: list[str] = []
    with ProxyServer({}, login="somebody:else") as proxy:
        for port in (proxy.port, 1):  # one that refuses, one that is not there
            monkeypatch.setenv("ALL_PROXY", f"http://{PROXY}@127.0.0.1:{port}")
            texts += [shown(attempt) for attempt in attempts(settings)]

    assert 14 == len(texts)
    assert all(texts)
    assert [] == found_in("\n".join(texts))
