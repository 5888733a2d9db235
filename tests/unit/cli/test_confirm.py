"""The question before a large batch, and the summary of a dry run."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import click
import pytest
from celery import Celery

from mulequeue import catalog
from mulequeue.cli import costs as module
from mulequeue.cli.costs import confirm, print_dry_run
from mulequeue.cli.preflight import Call
from mulequeue.errors import MuleQueueError
from mulequeue.settings import Settings

MODEL = catalog.find("alibaba/wan2.6-t2i")
PRICE = {"alibaba/wan2.6-t2i": {"unit": "image", "usd": 0.1}}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def call_of(count: int, **settings: Any) -> Call:
    app = Celery("confirm", set_as_current=False)
    app.conf.update({f"mulequeue_{name}": value for name, value in settings.items()})
    return Call(
        app=app,
        settings=Settings.load(app, {}),
        model=MODEL,
        inputs=[{"prompt": str(n), "n": 1 + n % 2, "size": "1280*1280"} for n in range(count)],
        storage="/pictures",
        paths=("a.{ext}",),
        validate=None,
        max_wait=None,
        local=False,
        quiet=False,
        as_json=False,
    )


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A terminal whose user answers no, and what was asked."""
    asked: list[str] = []

    def ask(text: str, **_: Any) -> bool:
        asked.append(text)
        return False

    monkeypatch.setattr(click, "confirm", ask)
    monkeypatch.setattr(module, "sys", SimpleNamespace(stdin=Terminal(), stderr=Terminal()))
    return asked


@pytest.mark.parametrize(
    "call",
    [
        call_of(101),
        call_of(101, prices=PRICE),
        call_of(3, confirm_above=2),
        call_of(3, confirm_above_usd=0.1, prices=PRICE),
        call_of(101, site="mulerun"),
    ],
)
def test_a_large_or_expensive_batch_is_asked_for(
    questions: list[str], capsys: pytest.CaptureFixture[str], call: Call
) -> None:
    """Count and estimate are shown before the question; no means that nothing is sent."""
    with pytest.raises(MuleQueueError, match="Nothing was sent"):
        confirm(call, yes=False)

    shown = capsys.readouterr().err
    assert f"alibaba/wan2.6-t2i: {len(call.inputs)} generations, " in shown
    assert ["Send them?"] == questions


@pytest.mark.parametrize(
    ("call", "yes"),
    [
        (call_of(100), False),
        (call_of(101), True),
        (call_of(101, base_url="http://127.0.0.1:8080"), False),
        (call_of(101, base_url="http://localhost:8080"), False),
        (call_of(101, confirm_above=101), False),
        (call_of(50, prices=PRICE), False),
    ],
)
def test_other_batches_are_not_asked_for(questions: list[str], call: Call, yes: bool) -> None:
    """A small one, --yes, and an API on this machine."""
    confirm(call, yes=yes)

    assert [] == questions


@pytest.mark.parametrize("stream", ["stdin", "stderr"])
def test_without_a_terminal_nothing_is_asked(
    questions: list[str], monkeypatch: pytest.MonkeyPatch, stream: str
) -> None:
    """A script cannot answer."""
    monkeypatch.setattr(module.sys, stream, io.StringIO())

    confirm(call_of(1000), yes=False)

    assert [] == questions


def test_a_dry_run_shows_what_would_be_made(capsys: pytest.CaptureFixture[str]) -> None:
    """Count, parameters with their values, estimate, rows without a price, and the first file."""
    print_dry_run(call_of(3))

    assert capsys.readouterr().out.splitlines() == [
        "model        alibaba/wan2.6-t2i",
        "generations  3",
        "n            1 (2), 2 (1)",
        "size         1280*1280",
        "estimate     3 generations, price unknown (set mulequeue_prices)",
        "no price     3 of 3; set mulequeue_prices",
        "first file   /pictures/a.{ext}",
        "All inputs are valid. Nothing was sent.",
    ]
