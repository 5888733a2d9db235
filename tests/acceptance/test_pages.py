"""Every command and every piece of Python on the pages is run, or it is said here why not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from standardwebhooks import Webhook
from support.browsing import picture_made_at
from support.fleet import Fleet
from support.pages import all_pages, blocks
from support.ports import free_port
from support.receiver import Receiver
from support.walk import Walk

from mulequeue.testing.wait import SettleWaiter

TESTS = Path(__file__).parents[1]
README = "../README.md"

ELSEWHERE = {
    "howto/plug-in.md": "acceptance/test_howto_plug_in.py",
    "howto/django.md": "acceptance/test_howto_django.py",
    "howto/django-model.md": "acceptance/test_howto_django_model.py",
    "howto/flask.md": "acceptance/test_howto_flask.py",
    "howto/flower.md": "acceptance/test_flower.py",
    "howto/emulator.md": "integration/emulator/test_emulator_page.py",
    "howto/monitoring.md": "integration/ops/test_monitoring_page.py",
    "howto/scaling.md": "acceptance/test_procfile.py",
    "howto/failures.md": "integration/ops/test_failures_page.py",
    "howto/testing.md": "integration/testing/test_page.py",
}
"""Pages that have a test of their own, which runs all their commands."""

NOT_RUN = {
    (README, "python examples/flask_gallery/run.py"): "acceptance/browser starts both galleries",
    (README, "make "): "they are what runs these tests, and the demo again",
    ("reliability.md", "make soak"): "ten minutes of random troubles, run by hand",
    ("performance.md", "make bench"): "a quarter of an hour of measurements, run by hand",
}
"""(page, how the command or piece starts) -> why it is not run. Of pieces the imports are run."""

BEFORE = {
    README: """
from types import SimpleNamespace
from pictures import app
prompts, p, order = ["a mule", "a fox"], "an order", SimpleNamespace(id=17)
""",
    **dict.fromkeys(
        ("howto/limits.md", "howto/parameters.md", "howto/rows.md"),
        "from mulequeue.celery import app\n",
    ),
}
"""What a page takes for granted in its pieces of Python."""

FILES = {
    README: {
        "prompts.csv": "Prompt,Note\na mule at noon,x\na mule at dusk,y\n",
    },
    "howto/limits.md": {"prompts.txt": "a mule at noon\na mule at dusk\n"},
}
"""What it takes for granted in the folder."""

PAGES = [
    page
    for page in all_pages()
    if page not in ELSEWHERE
    and any(block.commands or block.language == "python" for block in blocks(page))
]
WITH_MORE = (
    README,
    "quickstart.md",
    "howto/webhooks.md",
    "howto/notifications.md",
    "howto/fastapi.md",
)
"""Pages of which a test below checks what their commands did."""
Follow = Callable[..., list[str]]


@pytest.fixture(scope="module")
def pages_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A fleet for the pages that do not start one."""
    with Fleet(tmp_path_factory.mktemp("fleet"), persistent=True) as fleet:
        fleet.worker("-P", "threads", "-c", "8")
        yield fleet


@pytest.fixture
def follow(tmp_path: Path, pages_fleet: Fleet) -> Iterator[Follow]:
    """Follows a page; everything it started has ended before the next page begins."""
    walks: list[Walk] = []

    def run(page: str, **instead: str) -> list[str]:
        for name, text in FILES.get(page, {}).items():
            (tmp_path / name).write_text(text)
        walks.append(
            Walk(
                page,
                tmp_path,
                pages_fleet,
                not_run=tuple(start for name, start in NOT_RUN if name == page),
                before=BEFORE.get(page, ""),
                instead=instead,
            )
        )
        return walks[-1].follow()

    yield run
    # A page's last piece may enqueue and not wait: its creates belong to no other page.
    SettleWaiter(pages_fleet.app).run_until_settled(timeout_seconds=60)
    for walk in walks:
        walk.close()
        print(walk.terminals.logs)


@pytest.mark.parametrize("page", [page for page in PAGES if page not in WITH_MORE])
def test_a_page(page: str, follow: Follow) -> None:
    """Every command of the page ends well, every piece of Python runs, every setting is known."""
    follow(page)


def test_the_readme(follow: Follow, tmp_path: Path) -> None:
    """Its example makes a picture; each other way to call it makes what it names; three notifications."""
    with Receiver() as receiver:
        said = follow(README, **{"https://example.com/hook": receiver.url})
        told = [json.loads(item.body) for item in receiver.wait(3)]

    kinds = sorted(item["type"] for item in told)
    assert ["batch.finished", "batch.finished", "generation.succeeded"] == kinds
    assert any("file://" in text and "image/png" in text for text in said)
    assert any("2 of 2 succeeded" in text for text in said)
    assert (tmp_path / "mulequeue-files").is_dir()


def test_the_quickstart(follow: Follow, tmp_path: Path) -> None:
    """The demo's pictures, those of the own key, and that of the own app are there."""
    said = follow("quickstart.md")

    assert 12 == len(list((tmp_path / "demo-output").rglob("*.png")))
    assert (tmp_path / "demo-output" / "index.html").exists()
    assert 4 == len(list((tmp_path / "pictures").rglob("*.png")))
    assert 1 == len(list((tmp_path / "mulequeue-files").rglob("*.png")))
    assert any("a mule at dawn" in text for text in said)
    assert "No problems" in said[-1]


def test_the_page_about_webhooks(follow: Follow, tmp_path: Path) -> None:
    """The receiver accepts what the emulator sends to it, and a webhook reports the end."""
    said = follow("howto/webhooks.md", **{"8788": str(free_port())})

    deliveries = json.loads(said[-1])["deliveries"]
    ends = [each for each in deliveries if each["type"] == "task.succeeded"]
    assert [[200]] == [each["answers"] for each in ends]
    assert 1 == len(list((tmp_path / "pictures").rglob("*.png")))


def test_the_page_about_notifications(follow: Follow, tmp_path: Path, pages_fleet: Fleet) -> None:
    """Each receiver accepts a notification once, also a repeated one, and no unsigned request."""
    ports = {port: str(free_port()) for port in ("5001", "5002", "5003")}
    follow("howto/notifications.md", **ports)
    urls = [f"http://127.0.0.1:{port}/hook" for port in ports.values()]

    unsigned = [requests.post(url, json={"type": "x"}, timeout=30).status_code for url in urls]
    body, now = '{"type": "batch.finished"}', datetime.now(UTC)
    secret = Webhook(pages_fleet.env["MULEQUEUE_NOTIFICATION_SECRET"])
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": secret.sign("msg_1", now, body),
    }
    again = [
        requests.post(url, data=body, headers=headers, timeout=30).status_code
        for url in urls
        for _ in range(2)
    ]

    assert [401] * 3 == unsigned
    assert [204] * 6 == again
    log = "".join(file.read_text() for file in tmp_path.glob("terminal-*.log"))
    for name in ("django", "flask", "fastapi"):
        # Once when the page shows send.py, and once by its command.
        assert 2 == log.count(f"{name} received generation.succeeded")
        assert 1 == log.count(f"{name} received batch.finished")


def test_the_page_about_fastapi(follow: Follow, tmp_path: Path) -> None:
    """The stream reports both members and ends; the first picture is served, and a browser shows one."""
    port = free_port()
    said = follow("howto/fastapi.md", **{"8000": str(port)})

    events = next(text for text in said if "event: end" in text).strip().split("\n\n")
    assert events[-1].startswith("event: end\n")
    last = json.loads(events[-1].partition("data: ")[2])
    assert (2, 2, 2, True) == tuple(last[name] for name in ("size", "done", "files", "is_over"))
    assert (tmp_path / "first.png").read_bytes().startswith(b"\x89PNG")
    assert picture_made_at(f"http://127.0.0.1:{port}") > 0


@pytest.mark.parametrize("page", ELSEWHERE)
def test_a_page_with_a_test_of_its_own(page: str) -> None:
    """The test that is named for it exists and is about it."""
    assert Path(page).name in (TESTS / ELSEWHERE[page]).read_text()


def test_what_is_not_run_is_still_there() -> None:
    """Every entry of the list stands for a command or a piece that some page has."""
    held = {
        (page, text)
        for page in all_pages()
        for block in blocks(page)
        for text in [*block.commands, block.text]
    }

    stale = [
        entry
        for entry in NOT_RUN
        if not any(page == entry[0] and text.startswith(entry[1]) for page, text in held)
    ]

    assert [] == stale
