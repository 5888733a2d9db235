"""The doctor with one planted fault each: real Redis, real workers, the emulator over HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from celery import Celery
from support.fleet import KEY, Fleet, environment
from support.redis_kinds import redis_with
from support.waiting import wait_until

from mulequeue.emulator.process import EmulatorProcess
from mulequeue.health import Finding, examine, workers
from mulequeue.health.account import examine_account
from mulequeue.health.places import storage, storage_path
from mulequeue.health.redis_server import (
    broker_eviction,
    clock_offset,
    clock_skew,
    eviction,
    persistence,
    read_facts,
)
from mulequeue.health.start import warn_at_start
from mulequeue.ledger.hasty import hasty_client
from mulequeue.settings import Settings

APP = Celery("proj", set_as_current=False)
NOWHERE = "redis://:pass-1234@127.0.0.1:9/0"


def levels(findings: list[Finding]) -> dict[str, str]:
    """What is not well."""
    return {finding.id: finding.level for finding in findings if finding.level != "ok"}


def doctor(
    folder: Path, env: dict[str, str], *before: str, options: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """The program; ``before``: what stands before ``doctor``."""
    words = before or ("-m", "mulequeue")
    return subprocess.run(
        [sys.executable, *words, "doctor", *options],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )


# Redis


def writes_first_file(client: Any) -> bool:
    """A Redis that has just been given an append-only file does not end before it is written."""
    info = client.info("persistence")
    return bool(info["aof_rewrite_in_progress"] or info["aof_rewrite_scheduled"])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--appendonly", "yes"], {}),
        ([], {"persistence": "error"}),
        (["--appendonly", "yes", "--maxmemory-policy", "allkeys-lru"], {"eviction": "warning"}),
        (
            ["--appendonly", "yes", "--maxmemory-policy", "volatile-ttl", "--maxmemory", "50mb"],
            {"eviction": "error"},
        ),
        (["--rename-command", "CONFIG", ""], {"persistence": "warning"}),
        (["--rename-command", "CONFIG", "", "--appendonly", "yes"], {}),
        (
            ["--rename-command", "CONFIG", "", "--rename-command", "INFO", ""],
            {"persistence": "warning", "eviction": "warning"},
        ),
    ],
)
def test_a_redis_that_forgets_is_told(
    tmp_path: Path, options: list[str], expected: dict[str, str]
) -> None:
    """No persistence and eviction are errors; what a managed Redis does not tell is a warning."""
    with redis_with(tmp_path, *options) as port, redis.Redis(port=port) as client:
        facts = read_facts(client)

    assert expected == levels([persistence(facts), eviction(facts)])


def test_the_fix_of_a_redis_that_forgets_mends_it(redis_server: Any) -> None:
    """The lines the doctor gives are typed as they are, and it has nothing more to say."""
    client = redis_server.client
    client.config_set("maxmemory-policy", "allkeys-lfu")
    facts = read_facts(client)

    for finding in (persistence(facts), eviction(facts)):
        (line,) = (line for line in finding.fix.splitlines() if line.startswith("  "))
        subprocess.run(line.split(), check=True, capture_output=True)

    wait_until(lambda: not writes_first_file(client), what="the append-only file")
    after = read_facts(client)
    assert {} == levels([persistence(after), eviction(after)])


def test_a_broker_that_forgets_is_told(tmp_path: Path, redis_server: Any) -> None:
    """Where the broker is a Redis of its own; another database of the ledger's is no other Redis."""
    with redis_with(tmp_path, "--maxmemory-policy", "allkeys-lru") as port:
        broker = f"redis://127.0.0.1:{port}"
        app = Celery("proj", broker=f"{broker}/1", set_as_current=False)

        other = broker_eviction(app, Settings(redis_url=redis_server.url), 2.0)
        same = broker_eviction(app, Settings(redis_url=f"{broker}/2"), 2.0)

    assert {"broker-eviction": "warning"} == levels(other)
    assert [] == same


def test_snapshots_alone_are_a_warning(redis_server: Any) -> None:
    """They lose what was paid since the last one."""
    redis_server.client.config_set("save", "60 1")

    assert "warning" == persistence(read_facts(redis_server.client)).level


def test_redis_and_broker_that_do_not_answer(tmp_path: Path) -> None:
    """Both are errors, exit code 1, in one report that goes on, and shows no password."""
    env = environment(
        {
            "MULEQUEUE_REDIS_URL": NOWHERE,
            "MULEROUTER_API_KEY": KEY,
            "MULEROUTER_BASE_URL": "http://127.0.0.1:9",
        }
    )

    done = doctor(tmp_path, env)

    assert 1 == done.returncode, done.stderr
    wrong = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("error")}
    assert {"redis", "broker"} == wrong
    assert "warning key" in done.stdout
    assert "ok      storage " in done.stdout
    assert "pass-1234" not in done.stdout + done.stderr
    assert KEY not in done.stdout + done.stderr


# clocks


@pytest.mark.parametrize(("seconds", "level"), [(0, "ok"), (-30, "warning"), (3600, "error")])
def test_a_clock_that_is_wrong_is_told(redis_server: Any, seconds: int, level: str) -> None:
    """This machine's clock against Redis' own."""
    offset, _ = clock_offset(redis_server.client, lambda: time.time() + seconds)

    assert level == clock_skew(offset).level
    assert abs(offset - seconds) < 1


def test_a_worker_s_clock_is_heard_in_its_heartbeats(redis_server: Any) -> None:
    """A heartbeat says what time it is over there; this machine's own error is taken out."""
    app = Celery("proj", broker=redis_server.url, set_as_current=False)
    over = threading.Event()

    def beat() -> None:
        with app.connection_for_write() as connection:
            events = app.events.Dispatcher(connection, hostname="late@there")
            while not over.wait(0.05):
                events.send("worker-heartbeat", timestamp=time.time() - 60)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        heard = workers.hear_clocks(
            app, {"late@there"}, offset=10.0, clock=lambda: time.time() + 10.0
        )
    finally:
        over.set()
        thread.join()
        app.close()

    finding = workers.worker_clocks(workers.Seen(clocks=heard))
    assert "warning" == finding.level
    assert "late@there (-60." in finding.text


# the key and the storage


@pytest.fixture(scope="module")
def strict_emulator() -> Iterator[EmulatorProcess]:
    with EmulatorProcess(require_key="sk-mr-good") as emulator:
        yield emulator


@pytest.mark.parametrize(
    ("api_key", "expected"), [("sk-mr-good", {}), ("sk-mr-wrong", {"key": "error"})]
)
def test_a_refused_key_is_told(
    strict_emulator: EmulatorProcess, api_key: str, expected: dict[str, str]
) -> None:
    """Asking costs nothing, and the key is not shown."""
    findings = examine_account(APP, Settings(api_key=api_key, base_url=strict_emulator.url))

    assert expected == levels(findings)
    assert 0 == strict_emulator.stats()["creates"]
    assert all(api_key not in finding.text + finding.fix for finding in findings)


def test_every_profile_s_key_is_tried(strict_emulator: EmulatorProcess) -> None:
    """One finding each, with the profile's name."""
    other = {"api_key": "sk-mr-wrong", "base_url": strict_emulator.url}
    settings = Settings(
        api_key="sk-mr-good", base_url=strict_emulator.url, profiles={"second": other}
    )

    findings = examine_account(APP, settings)

    assert ["ok", "error"] == [finding.level for finding in findings]
    assert "profile second" in findings[1].text


def test_a_storage_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A file where the folder should be; a storage that refuses; an unknown one."""
    (tmp_path / "taken").write_text("")

    found = {
        url: storage(APP, Settings(storage=url)).level
        for url in (str(tmp_path / "taken" / "x"), "http://127.0.0.1:9/x", "nonsense://x")
    }

    assert {"error"} == set(found.values())
    assert "ok" == storage(APP, Settings(storage=str(tmp_path / "new"))).level
    assert not (tmp_path / "new").exists()


def test_a_storage_is_left_as_it_was() -> None:
    """What the doctor writes to a storage that is no folder is removed again."""
    import fsspec

    finding = storage(APP, Settings(storage="memory://doctor"))

    assert "ok" == finding.level
    assert [] == fsspec.filesystem("memory").find("/doctor")


@pytest.mark.parametrize("template", ["{model}/{index}.{ext}", "{remote_idd}", "{remote_id"])
def test_a_path_template_that_cannot_work_is_told(template: str) -> None:
    """With the names that are known, or the one that is missing."""
    finding = storage_path(template)

    assert ("storage-path", "error") == (finding.id, finding.level)
    assert finding.fix


# settings


def test_an_unknown_setting_is_told() -> None:
    """With the nearest that there is."""
    app = Celery("proj", set_as_current=False)
    app.config_from_object(SimpleNamespace(mulequeue_storrage="x"))

    (finding,) = examine(app)

    assert ("settings", "error") == (finding.id, finding.level)
    assert "mulequeue_storage" in finding.fix


# workers


@pytest.fixture
def well(make_fleet: Callable[..., Fleet]) -> Fleet:
    """A fleet as it should be, but without workers."""
    return make_fleet(persistent=True)


def examined(fleet: Fleet) -> dict[str, str]:
    return levels(examine(fleet.app, Settings.load(fleet.app)))


def test_a_healthy_fleet_is_well(well: Fleet) -> None:
    """After a generation all is ok, as text, as JSON and under celery; exit code 0."""
    well.worker("-P", "solo")
    well.task("mulequeue.generate", "alibaba/wan2.6-t2i", {"prompt": "a"}).delay().get(timeout=30)

    done = doctor(well.folder, well.env)
    celery = ("-m", "celery", "-A", "mulequeue", "mulequeue")
    as_json = doctor(well.folder, well.env, *celery, options=("--json",))

    assert 0 == done.returncode, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("All is well: ")
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


def test_workers_without_remote_control_are_not_called_missing(
    make_fleet: Callable[..., Fleet],
) -> None:
    """Their heartbeats are heard; which queues they take cannot be known."""
    fleet = make_fleet(persistent=True, celeryconfig="worker_enable_remote_control = False")
    fleet.worker("-P", "solo")

    assert {"workers": "warning"} == examined(fleet)


# at the start of a worker


def test_a_worker_warns_at_its_start(make_fleet: Callable[..., Fleet]) -> None:
    """Of eviction, of no persistence, and of times that are too short; and it starts all the same."""
    fleet = make_fleet(
        celeryconfig="result_expires = 60\nbroker_transport_options = {'visibility_timeout': 30}"
    )
    fleet.redis.client.config_set("maxmemory-policy", "allkeys-lru")

    worker = fleet.worker("-P", "solo")

    words = ["Results expire after", "second worker after 30 s", "keeps nothing", "allkeys-lru"]
    wait_until(lambda: all(word in worker.text for word in words), what="the warnings")


def test_a_worker_s_start_waits_for_no_redis(caplog: pytest.LogCaptureFixture) -> None:
    """A Redis that does not answer raises nothing, and what needs no Redis is said."""
    app = Celery("proj", broker=NOWHERE, set_as_current=False)
    app.conf.result_expires = 60

    warn_at_start(app, Settings(redis_url=NOWHERE))

    wait_until(lambda: "Results expire" in caplog.text, what="the warning")
    assert "pass-1234" not in caplog.text


def test_a_hasty_client_asks_once(redis_server: Any) -> None:
    """It has the ledger's own way to connect, without its patience."""
    with hasty_client(redis_server.url, 0.2) as client:
        assert client.ping()
        with pytest.raises(redis.TimeoutError):
            client.blpop(["nothing"], timeout=5)
