"""``mulequeue exporter``: its numbers against those that the API and the storage have."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("prometheus_client")

from support.deaths import MODEL, generate, stored
from support.exporter import Exporter
from support.fleet import Fleet
from support.programs import program
from support.receiver import Receiver
from support.waiting import wait_until

PRIVATE = {"MULEQUEUE_ALLOW_PRIVATE_ADDRESSES": "1"}


def test_the_numbers_are_those_of_the_api_and_the_storage(
    make_fleet: Callable[..., Fleet],
) -> None:
    """After real generations every counter equals the numbers of the emulator, storage and receiver."""
    price = f'mulequeue_prices = {{{MODEL!r}: {{"unit": "call", "usd": "0.07"}}}}'
    fleet = make_fleet(env=PRIVATE, celeryconfig=price)
    fleet.emulator.faults(
        creates=[{"do": "status", "status": 429, "retry_after": "1", "count": 1}],
        lives=[{"contains": "bad", "end": "failed"}],
        polls=[{"do": "status", "status": 503, "count": 2}],
    )
    worker = fleet.worker()
    with Receiver() as receiver, Exporter(fleet) as exporter:
        tail = fleet.task("mulequeue.download") | fleet.task("mulequeue.notify", receiver.url)
        prompts = [*(f"mule {number}" for number in range(5)), "a bad mule"]
        results = [(generate(fleet, prompt) | tail).apply_async() for prompt in prompts]
        for result in results:
            result.get(timeout=60)
        api = fleet.emulator.stats()

        worker.stop()  # it writes down what it counted in its last second
        seen = exporter.values()

    assert 1 == seen["mulequeue_ledger_up"][()]
    ended = {(MODEL, "succeeded"): 5, (MODEL, "failed"): 1}
    assert ended == happened(seen["mulequeue_outcomes_total"])
    spent = {labels: pytest.approx(0.07 * count) for labels, count in ended.items()}
    assert spent == happened(seen["mulequeue_estimated_spend_usd_total"])
    assert {
        ("accepted", "2xx", "default"): api["created"],
        ("not_created", "429", "default"): api["refused"],
    } == happened(seen["mulequeue_submit_answers_total"])
    assert {} == happened(seen["mulequeue_recoveries_total"])
    assert api["polls"] == sum(seen["mulequeue_poll_answers_total"].values())
    assert 2 == seen["mulequeue_poll_answers_total"]["503", "default"]
    assert 6 == seen["mulequeue_generation_seconds_count"][(MODEL,)]
    assert seen["mulequeue_generation_seconds_bucket"]["+Inf", MODEL] == 6
    assert api["downloads"] == seen["mulequeue_download_files_total"][()]
    sizes = [path.stat().st_size for path in stored(fleet)]
    assert sum(sizes) == seen["mulequeue_download_bytes_total"][()]
    assert len(sizes) == seen["mulequeue_download_seconds_count"][()]
    assert len(receiver.received) == seen["mulequeue_transfer_attempts_total"]["done", "notify"]
    assert "mulequeue_generations_in_flight" not in seen
    assert {"model"} == {what for _, what in seen["mulequeue_profile_pause_seconds"]}


def test_what_is_in_flight_and_what_is_late_is_shown(make_fleet: Callable[..., Fleet]) -> None:
    """Generations in flight by model and state; when all workers are dead, how late they are."""
    fleet = make_fleet(emulator={"faults": {"lives": [{"end": "never"}]}})
    worker = fleet.worker()
    for number in range(3):
        generate(fleet, f"mule {number}").apply_async()
    fleet.emulator.wait(created=3, polls=6)

    with Exporter(fleet) as exporter:
        wait_until(
            lambda: (
                {(MODEL, "generating"): 3} == exporter.values()["mulequeue_generations_in_flight"]
            ),
            what="three generations in flight",
        )
        assert {"celery", "mulequeue.poll", "mulequeue.wake"} == {
            queue for (queue,) in exporter.values()["mulequeue_queue_messages"]
        }
        worker.kill()
        generate(fleet, "nobody takes it").apply_async()
        values = wait_until(lambda: _late(exporter), what="somebody to be three seconds late")
        assert 1 == values["mulequeue_queue_messages"][("celery",)]
        assert values["mulequeue_due_lateness_seconds"][()] > 3

        fleet.redis.stop()
        assert {"mulequeue_ledger_up": {(): 0}} == exporter.values()
        assert 0 == exporter.stop()


def happened(series: dict[tuple[str, ...], float]) -> dict[tuple[str, ...], float]:
    """Without what is shown as 0 because it has not happened yet."""
    return {labels: count for labels, count in series.items() if count}


def _late(exporter: Exporter) -> dict[str, Any] | None:
    values = exporter.values()
    return values if values["mulequeue_due_late_entries"][("3",)] else None


def test_a_pause_by_hand_is_shown(fleet: Fleet) -> None:
    """The gauge is 1 from `mulequeue pause` until `mulequeue unpause`."""
    with Exporter(fleet) as exporter:
        fleet.ledger.limits.pause_submissions("default")
        assert {("default",): 1} == exporter.values()["mulequeue_profile_held"]
        fleet.ledger.limits.resume_submissions("default")
        assert "mulequeue_profile_held" not in exporter.values()


def test_prometheus_has_nothing_to_say_against_the_names(fleet: Fleet) -> None:
    """``promtool check metrics`` finds no fault with names, units and help texts."""
    promtool = program("promtool", "apt install prometheus")
    fleet.ledger.metrics.add_counts(
        {("poll_answers", "default", "2xx"): 1, ("download_seconds", "1"): 1}
    )

    with Exporter(fleet) as exporter:
        text = exporter.text()

    checked = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=30
    )
    assert (0, "") == (checked.returncode, checked.stdout + checked.stderr)
