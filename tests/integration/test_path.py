"""One prompt's way, from ``.delay()`` to a file."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from support.fleet import Fleet

MODEL = "alibaba/wan2.6-t2i"


def test_one_prompt_becomes_a_file(fleet: Fleet) -> None:
    """generate | download returns the outcome with a stored picture, after one create."""
    fleet.worker()

    chain = fleet.task("mulequeue.generate", MODEL, {"prompt": "a mule"}, poll_interval=0.2)
    outcome = (chain | fleet.task("mulequeue.download")).delay().get(timeout=30)

    assert "succeeded" == outcome["status"]
    stored = Path(urlsplit(outcome["files"][0]["url"]).path).read_bytes()
    assert stored.startswith(b"\x89PNG")
    assert 1 == fleet.emulator.stats()["created"]
