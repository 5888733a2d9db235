"""Threads of a web server: they have no current Celery app, and the process has one or two."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest
from support.fleet import Fleet
from support.workers import WorkerProcess

SHOP = """\
import json
import os
import sys
import threading

from celery import Celery, chord, group

from mulequeue import cancel, download, generate, generate_from, generate_many, resume, status

url = os.environ["SHOP_REDIS"]
app = Celery("shop", broker=url, backend=url)
app.conf.mulequeue_storage = os.environ["MULEQUEUE_STORAGE"]
MODEL = "alibaba/wan2.6-t2i"


@app.task
def word(*_):
    return "word"


def one(**options):
    return generate.s(MODEL, {"prompt": "x", "n": 1}, poll_interval=0.1, **options)


def of_each_kind():
    made = one().set(task_id="alone").apply_async()
    return {
        "app": made.app is app,
        "generate": made.get(timeout=30)["status"],
        "delay": generate.delay(MODEL, {"prompt": "x", "n": 1}, poll_interval=0.1).get(timeout=30)["status"],
        "chain": (one() | download.s() | word.s()).delay().get(timeout=30),
        "ours last": (word.si() | generate.si(MODEL, {"prompt": "x", "n": 1}, poll_interval=0.1)).delay().get(timeout=30)["status"],
        "group": [item["status"] for item in group(one(), one()).delay().get(timeout=30)],
        "chord": chord([one(on_failure="return") | download.s()])(word.s()).get(timeout=30),
        "generate_many": [
            item["status"]
            for item in generate_many(MODEL, [{"prompt": "x", "n": 1}], poll_interval=0.1).delay().get(timeout=30)
        ],
        "resume": resume("alone").delay().get(timeout=30)["status"],
        "status": status("alone").status,
        "cancel": cancel("alone"),
    }


def in_thread(call):
    found = {}

    def run():
        try:
            found["value"] = call()
        except Exception as exc:
            found["value"] = f"{type(exc).__name__}: {exc}"

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found["value"]


def of_two_apps():
    other = Celery("other", broker="redis://127.0.0.1:1/0")
    calls = {
        "own": lambda: word.delay().get(timeout=30),
        "signature": one,
        "status": lambda: status("alone"),
        "of one": lambda: app.tasks["mulequeue.generate"]
        .apply_async((MODEL, {"prompt": "x", "n": 1}), task_id="alone")
        .get(timeout=30)["status"],
        "named": lambda: status("alone", app=app).status,
        "resumed": lambda: resume("alone", app=app).app is app,
    }
    found = {name: in_thread(call) for name, call in calls.items()}
    found["current"] = in_thread(lambda: app.set_current() or generate.app is app)
    app.set_default()
    found["default"] = in_thread(lambda: generate.app is app)
    return found


if __name__ == "__main__":
    print(json.dumps(in_thread(of_each_kind) if sys.argv[1:] == ["one"] else of_two_apps()))
"""


@pytest.fixture
def run_shop(fleet: Fleet) -> Callable[[str], dict[str, object]]:
    """Run ``shop.py`` beside a worker of it; no setting names the broker or the ledger."""
    env = {**fleet.env, "SHOP_REDIS": fleet.redis.url}
    del env["MULEQUEUE_REDIS_URL"]
    (fleet.folder / "shop.py").write_text(SHOP)
    worker = WorkerProcess("shop", env, fleet.folder, ["-c", "2"], app="shop")
    fleet.workers.append(worker)
    worker.wait_ready()

    def run(which: str) -> dict[str, object]:
        command = [sys.executable, "shop.py", which]
        done = subprocess.run(
            command, cwd=fleet.folder, env=env, capture_output=True, text=True, timeout=120
        )
        assert 0 == done.returncode, done.stderr
        found: dict[str, object] = json.loads(done.stdout)
        return found

    return run


def test_everything_is_sent_to_the_app_of_the_process(
    run_shop: Callable[[str], dict[str, object]],
) -> None:
    """Calls and canvases of a thread use the broker, the results and the ledger of the only app."""
    found = run_shop("one")

    assert {
        "app": True,
        "generate": "succeeded",
        "delay": "succeeded",
        "chain": "word",
        "ours last": "succeeded",
        "group": ["succeeded"] * 2,
        "chord": "word",
        "generate_many": ["succeeded"],
        "resume": "succeeded",
        "status": "succeeded",
        "cancel": {"alone": "delivered"},
    } == found


def test_two_apps_are_told_apart_or_refused(run_shop: Callable[[str], dict[str, object]]) -> None:
    """A call that names no app raises in a thread without one, until one app is current or default."""
    found = run_shop("two")

    refused = str(found.pop("signature"))
    assert found.pop("status") == refused
    assert refused.startswith("ConfigurationError: This thread has no current Celery app")
    assert "('other', 'shop')" in refused
    assert {
        "own": "word",
        "of one": "succeeded",
        "named": "succeeded",
        "resumed": True,
        "current": True,
        "default": True,
    } == found
