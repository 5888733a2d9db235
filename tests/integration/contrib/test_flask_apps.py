"""One Flask app in a process, and two with Redis servers of their own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from support.fleet import Fleet
from support.redis_server import RedisServer

pytest.importorskip("flask")

APPS = """\
import json
import sys
import threading

import redis
from celery import current_app, shared_task
from flask import Flask

from mulequeue import generate, status
from mulequeue.contrib.flask import MuleQueue
from mulequeue.engine.current_app import current_app as ours

MODEL, INPUT = "alibaba/wan2.6-t2i", {"prompt": "x", "n": 1}
urls = sys.argv[1:]


@shared_task
def word():
    return "word"


def create_app(url):
    app = Flask("shop")
    app.config["MULEQUEUE_REDIS_URL"] = url
    MuleQueue(app, may_see=lambda name: True)

    @app.get("/delay")
    def delay():
        return generate.delay(MODEL, INPUT).id

    @app.get("/own")
    def own():
        word.delay()
        (word.si() | generate.si(MODEL, INPUT)).delay()
        return "2"

    @app.get("/async")
    async def asynchronous():
        return generate.delay(MODEL, INPUT).id

    @app.cli.command("send")
    def send():
        generate.delay(MODEL, INPUT)

    return app


def messages(client):
    lists = client.keys("celery*")  # one per priority
    return sum(client.llen(name) for name in lists if client.type(name) == b"list")


def outside(call):
    found = []

    def run():
        try:
            found.append(call())
        except Exception as exc:
            found.append(f"{type(exc).__name__}: {exc}")

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


apps = [create_app(url) for url in urls]
celeries = [app.extensions["celery"] for app in apps]
one, other = apps[0], apps[-1]
page = one.test_client().get("/delay").text
one.test_client().get("/own")
one.test_client().get("/async")
one.test_cli_runner().invoke(args=["send"])
with one.app_context(), other.app_context():
    inner = ours() is current_app._get_current_object() is celeries[-1]
with one.app_context():
    with other.app_context():
        pass
    after = ours() is current_app._get_current_object() is celeries[0]
print(json.dumps({
    "messages": [messages(redis.Redis.from_url(url)) for url in urls],
    "page": [app.test_client().get(f"/mulequeue/generations/{page}").status_code for app in apps],
    "nested": [inner, after],
    "outside": outside(lambda: generate.app is celeries[0]),
    "status outside": outside(lambda: status(page)),
    "of one": outside(lambda: celeries[0].tasks["mulequeue.generate"].s(MODEL, INPUT).app is celeries[0]),
    "current outside": outside(lambda: celeries[0].set_current() or generate.app is celeries[0]),
}))
"""


def run_apps(fleet: Fleet, *urls: str) -> dict[str, object]:
    """What the script finds with a Flask app for each of these Redis servers."""
    env = {name: value for name, value in fleet.env.items() if name != "MULEQUEUE_REDIS_URL"}
    done = subprocess.run(
        [sys.executable, "-c", APPS, *urls], env=env, capture_output=True, text=True, timeout=120
    )
    assert 0 == done.returncode, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_one_app_is_used_everywhere(fleet: Fleet) -> None:
    """In views, commands and threads without a context, by mulequeue's tasks and the app's own."""
    assert {
        "messages": [5],
        "page": [200],
        "nested": [True, True],
        "outside": True,
        "status outside": None,
        "of one": True,
        "current outside": True,
    } == run_apps(fleet, fleet.redis.url)


def test_two_apps_are_told_apart_by_their_contexts(fleet: Fleet, redis_server: RedisServer) -> None:
    """A context's tasks go to its own broker; outside of one, a call that names no app raises."""
    found = run_apps(fleet, fleet.redis.url, redis_server.url)

    refused = str(found.pop("outside"))
    assert refused == found.pop("status outside")
    assert refused.startswith("ConfigurationError: This process has Flask apps with 2 brokers")
    assert {
        "messages": [5, 0],
        "page": [200, 404],
        "nested": [True, True],
        "of one": True,
        "current outside": True,
    } == found


def test_two_apps_on_one_redis_are_one_place(fleet: Fleet) -> None:
    """As in tests that call a factory several times: either app is right."""
    found = run_apps(fleet, fleet.redis.url, fleet.redis.url)

    assert [5, 5] == found["messages"]
    assert found["status outside"] is None
