"""Every command and every piece of Python on the pages is run, or it is said here why not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.fleet import Fleet
from support.pages import all_pages, blocks
from support.receiver import Receiver
from support.walk import Walk

from mulequeue.testing.wait import SettleWaiter

TESTS = Path(__file__).parents[1]
README = "../README.md"

ELSEWHERE = {
    "howto/plug-in.md": "acceptance/test_howto_plug_in.py",
    "howto/django.md": "acceptance/test_howto_django.py",
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
    (README, "honcho start"): "acceptance/test_procfile.py starts it",
    (README, "make "): "they are what runs these tests, and the demo again",
    ("reliability.md", "make soak"): "ten minutes of random troubles, run by hand",
    ("performance.md", "make bench"): "a quarter of an hour of measurements, run by hand",
}
"""(page, how the command or piece starts) -> why it is not run. Of pieces the imports are run."""

BEFORE = {
    README: """
from types import SimpleNamespace
from mulequeue import generate
from mulequeue.celery import app
prompts, p, order = ["a mule", "a fox"], "an order", SimpleNamespace(id=17)
""",
    "howto/parameters.md": "from mulequeue.celery import app\n",
}
"""What a page takes for granted in its pieces of Python."""

FILES = {
    README: {
        "prompts.csv": "Prompt,Note\na mule at noon,x\na mule at dusk,y\n",
        "proj.py": "from mulequeue.celery import app\n",
    }
}
"""What it takes for granted in the folder."""

PAGES = [
    page
    for page in all_pages()
    if page not in ELSEWHERE
    and any(block.commands or block.language == "python" for block in blocks(page))
]
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


@pytest.mark.parametrize("page", [page for page in PAGES if page not in (README, "quickstart.md")])
def test_a_page(page: str, follow: Follow) -> None:
    """Every command of the page ends well, every piece of Python runs, every setting is known."""
    follow(page)


def test_the_readme(follow: Follow, pages_fleet: Fleet) -> None:
    """All five ways come to something: eight generations, and the receiver is told three times."""
    before = len(pages_fleet.emulator.creates())
    with Receiver() as receiver:
        said = follow(README, **{"https://example.com/hook": receiver.url})
        told = [json.loads(item.body) for item in receiver.wait(3)]

    kinds = sorted(item["type"] for item in told)
    assert ["batch.finished", "batch.finished", "generation.succeeded"] == kinds
    assert any("2 of 2 succeeded" in text for text in said)
    creates = pages_fleet.emulator.creates()[before:]
    assert {
        "a mule at dawn": 3,  # one, the first of two in a row, and by command
        "a mule runs": 1,
        "it walks": 1,
        "a mule": 2,  # of the chord, and of the batch
        "a fox": 2,
        "an order": 1,
        "a mule at noon": 1,
        "a mule at dusk": 1,
    } == Counter(create["body"]["prompt"] for create in creates)


def test_the_quickstart(follow: Follow, tmp_path: Path) -> None:
    """The demo's pictures, those of the own key, and that of the own app are there."""
    said = follow("quickstart.md")

    assert 12 == len(list((tmp_path / "demo-output").rglob("*.png")))
    assert (tmp_path / "demo-output" / "index.html").exists()
    assert 4 == len(list((tmp_path / "pictures").rglob("*.png")))
    assert 1 == len(list((tmp_path / "mulequeue-files").rglob("*.png")))
    assert "a mule at dawn" in said[-1]


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
