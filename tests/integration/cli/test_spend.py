"""``mulequeue spend`` and the costs that ``status`` and ``list`` show."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from support.fleet import Fleet
from support.generations import MODEL
from support.program import program_in
from support.receiver import Receiver

OTHER = "alibaba/wan2.5-t2i-preview"
CONFIG = f"""
mulequeue_prices = {{{MODEL!r}: {{"unit": "image", "usd": 0.05}}}}
mulequeue_defaults = {{{MODEL!r}: {{"n": 1}}}}
mulequeue_allow_private_addresses = True
"""


@pytest.fixture
def spent(make_fleet: Callable[..., Fleet]) -> Fleet:
    """A fleet on which two generations succeeded, and each other end happened once."""
    fleet = make_fleet(min_seconds=0.0, max_seconds=0.1, celeryconfig=CONFIG)
    fleet.emulator.faults(
        creates=[
            {"contains": "refused", "do": "status", "status": 422},
            {"contains": "lost", "do": "drop_after"},
        ],
        lives=[{"contains": "bad", "end": "failed"}, {"seconds": 0}],
    )
    fleet.worker("-P", "threads", "-c", "4")
    for prompt in ("a mule", "2 mules", "a bad mule", "a refused mule", "a lost mule"):
        run(fleet, MODEL, prompt, metadata={"customer": prompt.split()[0]})
    run(fleet, OTHER, "no price")
    return fleet


def run(fleet: Fleet, model: str, prompt: str, **call: Any) -> None:
    task = fleet.task(
        "mulequeue.generate",
        model,
        {"prompt": prompt},
        poll_interval=0.1,
        on_failure="return",
        **call,
    )
    task.apply_async(task_id=prompt.replace(" ", "-")).get(timeout=30)


def test_the_expenses_are_summed_up(spent: Fleet) -> None:
    """The sums are those of the emulator; failed, lost and unpriced generations have columns."""
    cli = program_in(spent)
    created = [it["prompt"] for it in spent.emulator.generations()]
    assert 5 == len(created)

    table = cli("spend").stdout.splitlines()
    [other, priced] = sorted(csv.DictReader(io.StringIO(cli("spend", "--csv").stdout)), key=str)
    whole = json.loads(cli("spend", "--by", "metadata:customer", "--since", "1h", "--json").stdout)

    assert ["model", "generations", "estimate", "charging", "unknown", "may"] == table[0].split()[
        :6
    ]
    assert "may have been charged  price unknown" in table[0]
    assert ["total", "5", "0.10", "USD"] == table[-1].split()[:4]
    if other["model"] != OTHER:
        other, priced = priced, other
    assert ["4", "0.10", "0.05", "0.05", "0"] == [
        trimmed(value) for value in list(priced.values())[1:]
    ]
    assert ["1", "0", "0", "0", "1"] == [trimmed(value) for value in list(other.values())[1:]]
    assert {"", "a", "2"} == {row["name"] for row in whole["rows"]}
    assert 0.2 == pytest.approx(
        whole["total"]["estimated_usd"]
        + whole["total"]["charging_unknown_usd"]
        + whole["total"]["may_have_been_charged_usd"]
    )
    assert "" == cli("spend", "--since", "2099-01-01").stdout
    wrong = cli("spend", "--by", "colour")
    assert (1, True) == (wrong.returncode, "metadata:KEY" in wrong.stderr)


def trimmed(value: str) -> str:
    """An amount without zeros at its end, or a count."""
    return f"{float(value):.2f}" if "." in value and float(value) else str(int(float(value)))


def test_status_and_list_show_the_estimate(spent: Fleet) -> None:
    """Each says how certain it is; nothing is shown of what cost nothing."""
    cli = program_in(spent)
    shown = {name: cli("status", name).stdout for name in ("a-mule", "a-bad-mule", "a-lost-mule")}

    assert "cost       0.05 USD (estimate)\n" in shown["a-mule"]
    assert "0.05 USD (estimate), charging unknown\n" in shown["a-bad-mule"]
    assert "0.05 USD (estimate), may have been charged\n" in shown["a-lost-mule"]
    assert "cost" not in cli("status", "a-refused-mule").stdout
    assert "price unknown (set mulequeue_prices)" in cli("status", "no-price").stdout
    listed = {
        item["task_id"]: item["estimated_usd"] for item in json.loads(cli("list", "--json").stdout)
    }
    assert (0.05, 0, None) == (listed["a-mule"], listed["a-refused-mule"], listed["no-price"])


def test_a_batch_and_its_notification_have_the_sum(make_fleet: Callable[..., Fleet]) -> None:
    """The members' estimates, added up."""
    from mulequeue import generate_many

    fleet = make_fleet(min_seconds=0.0, max_seconds=0.1, celeryconfig=CONFIG)
    fleet.app.set_current()
    fleet.worker("-P", "threads", "-c", "2")
    inputs = [{"prompt": f"mule {number}", "n": 1} for number in range(3)]

    with Receiver() as receiver:
        given = {"batch_id": "b", "download": False, "poll_interval": 0.1, "notify": receiver.url}
        generate_many(MODEL, inputs, **given).apply_async().get(timeout=60)

        [sent] = receiver.received
    assert 0.15 == json.loads(sent.body)["data"]["estimated_usd"]
    assert "0.15 USD (estimate)" in program_in(fleet)("status", "b").stdout


def test_a_batch_has_the_costs_of_spend(make_fleet: Callable[..., Fleet]) -> None:
    """``batch`` and ``status BATCH`` show what may not be charged apart, on workers and with ``--local``."""
    fleet = make_fleet(min_seconds=0.0, max_seconds=0.1, celeryconfig=CONFIG)
    fleet.worker("-P", "threads", "-c", "2")
    cli, costs = program_in(fleet), []
    for more in (["--batch-id", "b"], ["--local"]):
        fleet.emulator.faults(
            creates=[
                {"contains": "refused", "do": "status", "status": 422},
                {"contains": "lost", "do": "drop_after"},
            ],
            lives=[{"contains": "bad", "end": "failed"}, {"seconds": 0}],
        )
        prompts = "a mule\n2 mules\na bad mule\na refused mule\na lost mule\n"
        costs.append(json.loads(cli("batch", "-", "--json", *more, stdin=prompts).stdout))
    costs.append(json.loads(cli("status", "b", "--json").stdout))

    [row] = json.loads(cli("spend", "--by", "batch", "--json").stdout)["rows"]
    keys = ("estimated_usd", "charging_unknown_usd", "may_have_been_charged_usd", "unpriced")
    assert [0.1, 0.05, 0.05, 0] == [row[key] for key in keys]
    for printed in costs:
        assert [row[key] for key in keys] == [printed[key] for key in keys]
    run(fleet, MODEL, "one by one", batch_id="own", batch_size=1)
    assert 0.05 == json.loads(cli("status", "own", "--json").stdout)["estimated_usd"]
    line = "0.10 USD (estimate), 0.05 USD charging unknown, 0.05 USD may have been charged"
    assert line in cli("status", "b").stdout
    assert line in cli("batch", "-", "--batch-id", "b", "--quiet", stdin=prompts).stdout
