"""The doctor's findings about real workers, and the warnings of a worker that starts."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from celery import Celery
from support.findings import NOWHERE, levels
from support.fleet import KEY, Fleet
from support.program import program_in, runs_in
from support.waiting import wait_until

from mulequeue.ops.health import examine, warn_at_start
from mulequeue.settings import Settings

# What the doctor finds


@pytest.fixture
def well(make_fleet: Callable[..., Fleet]) -> Fleet:
    """A fleet as it should be, but without workers."""
    return make_fleet(persistent=True)


def examined(fleet: Fleet) -> dict[str, str]:
    return levels(examine(fleet.app, Settings.load(fleet.app)))


def test_a_healthy_fleet_is_well(well: Fleet) -> None:
    """After a generation all is ok, as text, as JSON and under celery; exit code 0."""
    under_celery = runs_in(well.folder, well.env, "celery", "-A", "mulequeue", "mulequeue")
    well.worker("-P", "solo")
    well.task("mulequeue.generate", "alibaba/wan2.6-t2i", {"prompt": "a"}).delay().get(timeout=30)

    done = program_in(well)("doctor")
    as_json = under_celery("doctor", "--json")

    assert 0 == done.returncode, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("No problems: ")
    assert max(map(len, done.stdout.splitlines())) <= 80 + len(str(well.folder))
    told = json.loads(as_json.stdout.splitlines()[-1])
    assert (True, {"ok"}) == (told["ok"], {finding["level"] for finding in told["findings"]})
    assert {"id", "level", "text", "fix"} == set(told["findings"][0])
    assert KEY not in done.stdout + as_json.stdout


def test_a_fleet_without_workers_is_told(well: Fleet) -> None:
    """An error, with the line that starts one."""
    findings = examine(well.app, Settings.load(well.app), command="celery -A proj worker")

    assert {"workers": "error"} == levels(findings)
    (fix,) = (finding.fix for finding in findings if finding.id == "workers")
    assert fix.endswith("\n  celery -A proj worker")


@pytest.mark.parametrize(
    ("queues", "expected"),
    [
        ("celery,mulequeue.wake", {"poll-queue": "error"}),
        ("celery,mulequeue.poll", {"wake-queue": "error"}),
        ("mulequeue.wake,mulequeue.poll", {"task-queue": "error"}),
    ],
)
def test_a_queue_that_nobody_takes_is_told(
    well: Fleet, queues: str, expected: dict[str, str]
) -> None:
    """Each of the three by its name."""
    well.worker("-Q", queues, "-P", "solo")

    assert expected == examined(well)


def test_a_queue_of_downloads_that_nobody_takes_is_told(make_fleet: Callable[..., Fleet]) -> None:
    """Where downloads have a queue of their own, some worker has to take it: files expire."""
    fleet = make_fleet(env={"MULEQUEUE_TRANSFER_QUEUE": "transfers"}, persistent=True)
    fleet.worker("-P", "solo")

    done = program_in(fleet)("doctor", "--json")

    found = {item["id"]: item for item in json.loads(done.stdout)["findings"]}
    assert "error" == found["download-queue"]["level"]
    assert found["download-queue"]["fix"].endswith("-Q transfers")


def test_workers_without_remote_control_are_not_called_missing(
    make_fleet: Callable[..., Fleet],
) -> None:
    """Their heartbeats are heard; which queues they take cannot be known."""
    fleet = make_fleet(persistent=True, celeryconfig="worker_enable_remote_control = False")
    fleet.worker("-P", "solo")

    assert {"workers": "warning"} == examined(fleet)


# At the start of a worker


def test_a_worker_warns_at_its_start(make_fleet: Callable[..., Fleet]) -> None:
    """Of eviction, of no persistence, and of times that are too short; and it starts all the same."""
    fleet = make_fleet(
        celeryconfig="result_expires = 60\nbroker_transport_options = {'visibility_timeout': 30}"
    )
    fleet.redis.client.config_set("maxmemory-policy", "allkeys-lru")

    worker = fleet.worker("-P", "solo")

    words = ["Results expire after", "second worker after 30 s", "does not persist", "allkeys-lru"]
    wait_until(lambda: all(word in worker.text for word in words), what="the warnings")


def test_a_worker_s_start_waits_for_no_redis(caplog: pytest.LogCaptureFixture) -> None:
    """A Redis that does not answer raises nothing, and what needs no Redis is said."""
    app = Celery("proj", broker=NOWHERE, set_as_current=False)
    app.conf.result_expires = 60

    warn_at_start(app, Settings(redis_url=NOWHERE))

    wait_until(lambda: "Results expire" in caplog.text, what="the warning")
    assert "pass-1234" not in caplog.text
