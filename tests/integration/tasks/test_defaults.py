"""``mulequeue_defaults`` on a fleet."""

from __future__ import annotations

from collections.abc import Callable

from support.fleet import Fleet
from support.generations import MODEL, one
from support.program import program_in

VIDEO = "alibaba/wan2.6-i2v"
DEFAULTS = f'mulequeue_defaults = {{"{MODEL}": {{"n": 1}}, "{VIDEO}": {{"duration": 5}}}}'


def test_every_way_to_a_generation_gets_the_defaults(make_fleet: Callable[..., Fleet]) -> None:
    """One generation, a following one, and a batch from the command line; what is given stays."""
    fleet = make_fleet(celeryconfig=DEFAULTS)
    fleet.worker()
    follows = fleet.task("mulequeue.generate_from", VIDEO, {"prompt": "it walks"}, use="image")
    given = fleet.task("mulequeue.generate", MODEL, {"prompt": "given", "n": 2})

    (one(fleet) | follows).delay().get(timeout=30)
    given.delay().get(timeout=30)
    batch = program_in(fleet)("batch", "-", "--json", stdin="from a file\n")

    assert 0 == batch.returncode, batch.stderr
    assert "Warning" not in batch.stderr
    sent = [create["body"] for create in fleet.emulator.creates()]
    assert [1, 5, 2, 1] == [body.get("n") or body.get("duration") for body in sent]
    assert "from a file" == sent[3]["prompt"]


def test_a_generation_that_waited_gets_the_defaults(make_fleet: Callable[..., Fleet]) -> None:
    """It is sent from the message of its wake, with the same input as one that did not wait."""
    fleet = make_fleet(celeryconfig=DEFAULTS, env={"MULEQUEUE_MAX_IN_FLIGHT": "1"}, max_seconds=0.5)
    fleet.worker()

    results = [one(fleet, f"mule {number}").delay() for number in range(3)]

    assert ["succeeded"] * 3 == [result.get(timeout=60)["status"] for result in results]
    assert [1, 1, 1] == [create["body"].get("n") for create in fleet.emulator.creates()]


def test_a_wrong_default_is_an_error_at_the_start(make_fleet: Callable[..., Fleet]) -> None:
    """The command line names it before it sends anything."""
    fleet = make_fleet(celeryconfig=f'mulequeue_defaults = {{"{MODEL}": {{"m": 1}}}}')

    done = program_in(fleet)("batch", "-", stdin="a\n")

    assert 1 == done.returncode
    assert f"mulequeue_defaults of '{MODEL}': there is no 'm'" in done.stderr
    assert 0 == fleet.emulator.stats()["creates"]
