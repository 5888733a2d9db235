"""The page about pictures for a Django model, as a user follows it: from startproject to 60 pictures."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from support.pages import blocks
from support.terminal import Terminals, terminals_for
from support.waiting import wait_until

from mulequeue.ledger import Ledger
from mulequeue.settings import Settings

pytest.importorskip("django")

PAGE = "howto/django-model.md"
_PRODUCTS = "admin/catalog/product/"
_GENERATIONS = "admin/mulequeue/generation/"


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[Terminals]:
    """An empty folder."""
    with terminals_for(PAGE, tmp_path, "6379", "8787", "8000", lay_out=False) as terminals:
        yield terminals


class Staff:
    """The person of the page, in a browser without JavaScript."""

    def __init__(self, site: str) -> None:
        self._site = site
        self._session = requests.Session()

    def post(self, path: str, **fields: object) -> str:
        """Send a form of this page; the text of the page that follows."""
        self.read(path)
        token = self._session.cookies["csrftoken"]
        data = {"csrfmiddlewaretoken": token, **fields}
        answer = self._session.post(self._site + path, data=data, timeout=30)
        answer.raise_for_status()
        return answer.text

    def read(self, path: str) -> str:
        """The text of a page."""
        answer = self._session.get(self._site + path, timeout=30)
        answer.raise_for_status()
        return answer.text


class Shop:
    """The shop of the page, and the member of staff who uses it."""

    def __init__(self, terminals: Terminals) -> None:
        self._api = terminals.replaced("http://127.0.0.1:8787")
        self.staff = Staff(terminals.replaced("http://127.0.0.1:8000/"))
        self.staff.post("admin/login/", username="me", password="change-me", next="/admin/")

    def run_action(self) -> None:
        """Select all products in the admin and run the action."""
        page = self.staff.read(_PRODUCTS)
        pks = re.findall(r'name="_selected_action" value="(\d+)"', page)
        assert 60 == len(pks)
        self.staff.post(_PRODUCTS, action="generate_pictures", _selected_action=pks)

    def wait_for(self, *texts: str, seconds: float = 90) -> str:
        """Wait until the page with the progress has these texts; return it."""
        wait_until(
            lambda: all(text in self.staff.read("pictures/") for text in texts),
            seconds=seconds,
            what=f"the texts {texts} on the page",
        )
        return self.staff.read("pictures/")

    def paid(self) -> dict[str, int]:
        """What the API has counted: create requests, and repetitions among them."""
        return {name: self.stats()[name] for name in ("creates", "duplicates")}

    def stats(self) -> dict[str, int]:
        """All that the API has counted."""
        answer = requests.get(f"{self._api}/_emulator/stats", timeout=30)
        return dict(answer.json())

    def emulate(self, **faults: Any) -> None:
        """Set faults of the API."""
        requests.post(f"{self._api}/_emulator/faults", json=faults, timeout=30).raise_for_status()


def test_from_startproject_to_sixty_products_with_pictures(
    terminals: Terminals, tmp_path: Path
) -> None:
    """The admin's action makes 59; a failure is listed and tried again; nothing is paid twice."""
    commands = follow(terminals)
    shop = Shop(terminals)

    shop.run_action()
    page = shop.wait_for("59 of 60", "A forbidden kettle", "The prompt was refused.")
    assert "at most 0.08 US dollars" in page
    assert {"creates": 60, "duplicates": 0} == shop.paid()

    # The same name is refused again: one more payment, however often the button is clicked.
    (again,) = re.findall(r'name="again" value="(\d+-1)"', page)
    for _ in range(2):
        shop.staff.post("pictures/", again=again)
    shop.wait_for("59 of 60", again.replace("-1", "-2"))

    pk = again.partition("-")[0]
    shop.staff.post(f"{_PRODUCTS}{pk}/change/", name="A friendly kettle")
    said = terminals.type(next(each for each in commands if "again.py" in each))
    assert "59 of 60" in said
    shop.wait_for("60 of 60")
    assert 62 == shop.paid()["creates"]
    assert 60 == len(list((tmp_path / "media" / "products").glob("*.png")))


def test_a_second_run_pays_for_nothing(terminals: Terminals, tmp_path: Path) -> None:
    """Both buttons once more, with a failure and a product whose paid file is missing: it is fetched."""
    follow(terminals)
    shop = Shop(terminals)
    shop.staff.post("pictures/")
    shop.wait_for("59 of 60", "A forbidden kettle")
    forget = "from catalog.models import Product; Product.objects.filter(name='Kettle no. 7').update(image='')"
    terminals.type(f'python manage.py shell -c "{forget}"')
    assert "58 of 60" in shop.staff.read("pictures/")

    shop.staff.post("pictures/")
    shop.run_action()

    shop.wait_for("59 of 60", "A forbidden kettle")
    assert {"creates": 60, "duplicates": 0} == shop.paid()


def test_a_shop_on_a_bad_day(terminals: Terminals, tmp_path: Path) -> None:
    """A wrong key, two refused prompts and a dead worker: 60 pictures in 60 rows, each paid once."""
    commands = follow(terminals)
    shop = Shop(terminals)
    faults = [{"do": "status", "status": 400, "contains": f"no. {number}."} for number in (7, 31)]
    shop.emulate(require_key="the-right-key", creates=faults, lives=[{"seconds": 1}])

    ledger = Ledger.of(Settings(redis_url=terminals.replaced("redis://127.0.0.1:6379/0")))

    shop.run_action()
    terminals.wait_for_text("the API rejects the API key")
    assert 0 == shop.stats()["created"]
    assert "0 of 60" in shop.staff.read("pictures/")
    assert "Try again" not in shop.staff.read("pictures/")

    worker = next(each for each in commands if "celery -A store worker" in each)
    terminals.type("export MULEROUTER_API_KEY=the-right-key")
    for name in ("second", "third"):
        terminals.type(f"{worker} -n {name}@%h")
    terminals.kill(worker)
    wait_until(lambda: shop.stats()["created"] >= 10, seconds=60, what="ten generations")
    wait_until(
        lambda: kill_between_creates(terminals, ledger), seconds=60, what="no create request"
    )

    # What the dead worker had reserved returns after two minutes.
    page = shop.wait_for("58 of 60", "Kettle no. 7", "Kettle no. 31", seconds=300)
    assert 58 == shop.stats()["created"]
    shop.emulate(creates=[])
    failed = re.findall(r'name="again" value="(\d+-1)"', page)
    task_ids = [f"product-{each}" for each in failed]
    assert 2 == len(task_ids)
    shop.staff.post(_GENERATIONS, action="retry", _selected_action=task_ids)

    shop.wait_for("60 of 60")
    assert 60 == shop.stats()["created"]
    assert 60 == len(list((tmp_path / "media" / "products").glob("*.png")))
    images = "from catalog.models import Product; print(*Product.objects.values_list('image', flat=True))"
    said = terminals.type(f'python manage.py shell -c "{images}"')
    assert 60 == len(set(re.findall(r"products/\S+\.png", said)))


def kill_between_creates(terminals: Terminals, ledger: Ledger) -> bool:
    """Kill the second worker unless a create request is on its way: its end would be ``submit_unknown``."""
    for name in ("second@%h", "third@%h"):
        terminals.signal(name, signal.SIGSTOP)
    is_clear = ledger.queries.counts().get("submitting", 0) == 0
    if is_clear:
        terminals.kill("second@%h")
    for name in ("third@%h",) if is_clear else ("second@%h", "third@%h"):
        terminals.signal(name, signal.SIGCONT)
    return is_clear


def follow(terminals: Terminals) -> list[str]:
    """Save each file where the page shows it and type each command up to the web server; all of them."""
    later = []
    typed = []
    for block in blocks(PAGE):
        terminals.save(block)
        for command in block.commands:
            typed.append(command)
            if later or "again.py" in command:
                later.append(command)
            else:
                terminals.type(command)
    return typed
