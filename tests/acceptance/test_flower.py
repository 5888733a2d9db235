"""What the real Flower shows of generations: one row each, the right state, and no secrets."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.fleet import KEY, SECRET, Fleet
from support.flower import PAGES, Flower, FlowerPages
from support.gallery import start_browser
from support.generations import MODEL, new_id
from support.receiver import Receiver
from support.waiting import wait_until

from mulequeue import download, generate, generate_many, notify

GUIDE = Path(__file__).parents[2] / "docs" / "howto" / "flower.md"
MARKED = "data:image/png;base64,TUFSS0VE"
PROMPTS = [
    *(
        f"A mule {where}"
        for where in ("at dawn", "in the rain", "on a frozen lake", "& its shadow")
    ),
    *(f"A {who} reading a map" for who in ("fox", "tortoise", "robot", "<b>bold</b> goat")),
    *(f"Paper boats {what}" for what in ("with candles", "in a storm", "seen from above")),
    "A lighthouse made of stained glass, " + "long, " * 40,
]
EVENTS_OF_ONE = {"sent": 1, "received": 2, "started": 2, "generating": 1, "succeeded": 1}


def commands() -> list[str]:
    """The shell lines of the guide."""
    blocks = re.findall(r"```console\n(.*?)```", GUIDE.read_text(), flags=re.S)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]


@pytest.fixture
def fleet(make_fleet: Any) -> Fleet:
    """A fleet whose generations run until they are ended, with its secrets in its configuration."""
    configuration = f"mulequeue_api_key = {KEY!r}\nmulequeue_notification_secret = {SECRET!r}"
    never = {"faults": {"lives": [{"end": "never"}]}}
    made: Fleet = make_fleet(celeryconfig=configuration, emulator=never)
    return made


@pytest.fixture
def flower(fleet: Fleet) -> Iterator[Flower]:
    """Flower as the guide sets it up, beside one worker."""
    fleet.worker()
    pip, write_config, start, _ = commands()
    assert 'pip install "mulequeue[flower]"' == pip
    line, name = re.fullmatch(r'echo "(.*)" > (\S+)', write_config).groups()  # type: ignore[union-attr]
    (fleet.folder / name).write_text(f"{line}\n")
    with Flower(fleet, start) as running:
        yield running


@pytest.fixture
def pages(flower: Flower) -> Iterator[FlowerPages]:
    """Flower in Chromium."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        browser = start_browser(playwright)
        yield FlowerPages(flower, browser.new_page(viewport={"width": 1440, "height": 900}))
        browser.close()


def end_all(fleet: Fleet) -> None:
    for generation in fleet.emulator.generations():
        fleet.emulator.finish(generation["remote_id"])


def said(fleet: Fleet, command: str) -> str:
    """What a command of Celery's printed."""
    program, *options = command.split()
    assert "celery" == program
    whole = [sys.executable, "-m", "celery", *options]
    run = subprocess.run(whole, env=fleet.env, cwd=fleet.folder, capture_output=True, timeout=60)
    return run.stdout.decode()


def states(flower: Flower) -> dict[str, str]:
    return {task_id: task["state"] for task_id, task in flower.tasks("mulequeue.generate").items()}


def test_a_generation_is_one_row_in_the_right_state(
    fleet: Fleet, flower: Flower, pages: FlowerPages
) -> None:
    """In a browser, twelve generations are twelve rows: model, cut prompt, GENERATING, then SUCCESS."""
    inputs = [{"prompt": prompt, "negative_prompt": MARKED} for prompt in PROMPTS]
    members = {f"flowers-{number:06d}" for number in range(12)}

    batch = generate_many(MODEL, inputs, batch_id="flowers", poll_interval=0.1).delay()
    running = dict.fromkeys(members, "GENERATING")
    wait_until(lambda: running == states(flower), what="twelve to be GENERATING")
    fleet.emulator.wait(polls=36)
    assert running == states(flower)
    wait_until(lambda: "mulequeue.poll" in said(fleet, commands()[3]), what="a scheduled poll")
    seen = look(pages, "running", "GENERATING")
    end_all(fleet)
    batch.get(timeout=30)

    done = dict.fromkeys(members, "SUCCESS")
    wait_until(lambda: done == states(flower), what="twelve to be SUCCESS")
    seen += look(pages, "done", "SUCCESS")
    for secret in (KEY, SECRET, "TUFSS0VE", "prompt'", "negative"):
        assert secret not in seen


def look(pages: FlowerPages, name: str, state: str) -> str:
    """Everything that the pages say, where each generation has its model, its prompt and that state."""
    rows = pages.rows()
    pages.screenshot(name)
    ours = [row for row in rows if row[0] == "mulequeue.generate"]
    lines = [f"{MODEL}: {prompt}" for prompt in PROMPTS[:-1]]
    assert {*lines, f"{MODEL}: {PROMPTS[-1][:59]}…"} == {row[2] for row in ours}
    assert [state] * 12 == [row[1] for row in ours]
    assert ["succeeded" if state == "SUCCESS" else ""] * 12 == [row[3] for row in ours]
    told = pages.task("flowers-000000")
    pages.screenshot(f"{name}-task")
    assert state in told
    return f"{rows}{told}"


def test_events_do_not_grow_with_polls(fleet: Fleet, flower: Flower) -> None:
    """A generation is eight events after two polls and after twenty, and the poll loop is none."""
    seen: dict[str, int] = {}
    for run, polls in enumerate((2, 20), start=1):
        already = fleet.emulator.stats()["polls"]
        result = generate.apply_async((MODEL, {"prompt": f"{polls}"}), {"poll_interval": 0.1})
        fleet.emulator.wait(polls=already + polls)
        end_all(fleet)
        result.get(timeout=30)

        for kind, count in EVENTS_OF_ONE.items():
            seen[f"mulequeue.generate task-{kind}"] = run * count
        wait_until(lambda: of_ours(flower) == seen, what=f"the events after {polls} polls")


def of_ours(flower: Flower) -> dict[str, int]:
    return {what: count for what, count in flower.events().items() if "mulequeue" in what}


def test_flower_tells_no_secrets(fleet: Fleet, flower: Flower) -> None:
    """Key, secret, inputs and a target's path stand on no page and in no answer, at any time."""
    seen: list[str] = []

    def look(*ids: str) -> None:
        paths = [*PAGES, "/worker/w0@test", *(f"/api/task/info/{i}" for i in ids)]
        paths += [f"/task/{i}" for i in ids] + [f"/api/task/result/{i}" for i in ids]
        seen.extend(flower.text(path) for path in paths)
        seen.extend(str(row) for row in flower.table())

    given = {"prompt": "a mule", "image": MARKED, "more": [{"deep": MARKED}]}
    one, by_name = new_id("one"), new_id("by-name")
    fleet.emulator.faults(creates=[{"do": "hold"}, {"do": "hold"}])
    with Receiver() as receiver:
        chain = generate.s(MODEL, given, validate="off").set(task_id=one) | download.s()
        (chain | notify.s(f"{receiver.url}/path-that-is-secret")).delay()
        fleet.emulator.wait(held_creates=1)
        unchecked = {"validate": "off"}
        fleet.app.send_task("mulequeue.generate", (MODEL, given), unchecked, task_id=by_name)
        fleet.emulator.wait(held_creates=2)
        wait_until(lambda: "STARTED" == states(flower).get(by_name), what="both to be known")
        look(one, by_name)  # with a worker
        assert any("Active tasks" in page and f"{MODEL}: a mule" in page for page in seen)
        fleet.emulator.release()
        fleet.emulator.wait(polls=2)
        look(one, by_name)  # with nobody
        end_all(fleet)
        receiver.wait(1)
        wait_until(lambda: {"SUCCESS"} == set(states(flower).values()), what="SUCCESS")
        look(one, by_name)  # done
        look(*flower.tasks("mulequeue.download"), *flower.tasks("mulequeue.notify"))

    everything = "\n".join([*seen, flower.log.read_text(), fleet.logs])
    assert "succeeded" in everything
    for secret in (KEY, SECRET, SECRET.removeprefix("whsec_"), "TUFSS0VE", "path-that-is-secret"):
        assert secret not in everything
