"""All connections and all Python versions accept the same certificates, for OpenSSL's reasons."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from support.fleet import KEY
from support.private_ca import CA, WHOLE_CA, PrivateCA, private_ca
from support.proxy_server import ProxyServer
from support.raw_server import http, plain_network, raw_server  # noqa: F401

from mulequeue.api.client import submit_once
from mulequeue.api.parsing import TaskReply
from mulequeue.api.results import Accepted
from mulequeue.api.status_checks import StatusClient
from mulequeue.net.address_guard import AddressGuard
from mulequeue.net.guarded_session import TransferSession
from mulequeue.settings import Settings

pytestmark = pytest.mark.usefixtures("plain_network")

PATH = "/vendors/a/v1/b"
ANSWER = http("200 OK", '{"task_info": {"id": "r1", "status": "pending"}}')
ACCEPTED = "accepted"
NO_EXTENSIONS = "subjectKeyIdentifier=none\nauthorityKeyIdentifier=none\n"
LOCALHOST, OTHER = "subjectAltName=DNS:localhost", "subjectAltName=DNS:other.test"
MISMATCH, EXPIRED, NO_CA = "Hostname mismatch", "certificate has expired", "invalid CA certificate"


def by_create(url: str) -> str:
    """Return the verdict of a create request on the server's certificate."""
    settings = Settings(api_key=KEY, base_url=url)
    return verdict(submit_once(settings.profile(), PATH, {}, settings=settings))


def by_status_check(url: str) -> str:
    """Return the verdict of our own connections for status checks."""

    async def check() -> Any:
        settings = Settings(api_key=KEY, base_url=url)
        async with StatusClient() as checks:
            return await checks.fetch(settings.profile(), PATH, "r1", timeout_seconds=10)

    return verdict(asyncio.run(check()))


def by_transfer(url: str) -> str:
    """Return the verdict of downloads and notifications."""
    with TransferSession(AddressGuard(allow_private=True)) as session:
        try:
            return verdict(session.get(f"{url}{PATH}/r1", timeout=10))
        except requests.RequestException as exc:
            return verdict(exc)


def verdict(answer: object) -> str:
    """Return ``accepted``, or OpenSSL's reason for rejecting the certificate."""
    refusal = re.search(r"certificate verify failed: (\w[\w ]*\w)", str(answer))
    if refusal:
        return refusal[1]
    assert isinstance(answer, Accepted | TaskReply | requests.Response), answer
    return ACCEPTED


WAYS = (by_create, by_status_check, by_transfer)


def verdicts(url: str) -> set[str]:
    """Return the verdicts of all connections: one if they agree."""
    return {way(url) for way in WAYS}


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., PrivateCA]:
    """Make a CA that clients trust, with a server's certificate."""

    def make(*names: str, **options: Any) -> PrivateCA:
        ca = private_ca(tmp_path, *names, **options)
        monkeypatch.setenv("SSL_CERT_FILE", str(ca.bundle))
        return ca

    return make


def serve(ca: PrivateCA) -> Any:
    return raw_server(ANSWER, tls=ca.context)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="no-key-usage"),
        pytest.param({"ca": WHOLE_CA}, id="key-usage"),
        pytest.param(
            {
                "ca": f"{NO_EXTENSIONS}basicConstraints=CA:TRUE",
                "server": f"{NO_EXTENSIONS}{LOCALHOST}",
            },
            id="as-old-tools-made-them",
        ),
        pytest.param({"is_intermediate": True}, id="intermediate-without-its-root"),
    ],
)
def test_a_ca_in_the_bundle_is_trusted(
    make: Callable[..., PrivateCA], options: dict[str, Any]
) -> None:
    """A CA in the bundle is trusted, with and without the extensions of RFC 5280."""
    with serve(make("localhost", **options)) as server:
        assert {ACCEPTED} == verdicts(f"https://localhost:{server.port}")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        pytest.param({"server": OTHER}, MISMATCH, id="host-in-common-name-only"),
        pytest.param({"server": "basicConstraints=CA:FALSE"}, MISMATCH, id="no-names"),
        pytest.param({"server_days": 0}, EXPIRED, id="expired"),
        pytest.param({"ca_days": 0}, EXPIRED, id="expired-ca"),
        pytest.param({"ca": "basicConstraints=CA:FALSE"}, NO_CA, id="not-a-ca"),
        pytest.param({"ca": f"{CA}\nkeyUsage=digitalSignature"}, NO_CA, id="ca-that-may-not-sign"),
        pytest.param(
            {"server": f"{LOCALHOST}\nextendedKeyUsage=clientAuth"},
            "unsuitable certificate purpose",
            id="not-for-servers",
        ),
    ],
)
def test_a_certificate_that_proves_nothing_is_refused(
    make: Callable[..., PrivateCA], options: dict[str, Any], reason: str
) -> None:
    """A certificate must be valid today and list the host; otherwise no request is sent."""
    with serve(make("localhost", **options)) as server:
        assert {reason} == verdicts(f"https://localhost:{server.port}")

    assert [] == server.requests


def test_another_host_is_refused(make: Callable[..., PrivateCA]) -> None:
    """A certificate for another host is rejected."""
    with serve(make("other.test")) as server:
        assert {MISMATCH} == verdicts(f"https://localhost:{server.port}")

    assert [] == server.requests


def test_a_ca_outside_the_bundle_is_refused(make: Callable[..., PrivateCA], tmp_path: Path) -> None:
    """A CA with the same name as one in the bundle is not trusted."""
    (tmp_path / "other").mkdir()
    other = private_ca(tmp_path / "other", "localhost")
    make("localhost")
    with serve(other) as server:
        (found,) = verdicts(f"https://localhost:{server.port}")

    assert ACCEPTED != found
    assert [] == server.requests


def test_a_renewed_bundle_is_read_again(make: Callable[..., PrivateCA], tmp_path: Path) -> None:
    """A CA that is added to the bundle file is trusted without a restart."""
    (tmp_path / "next").mkdir()
    following = private_ca(tmp_path / "next", "localhost")
    bundle = make("localhost").bundle
    with serve(following) as server:
        url = f"https://localhost:{server.port}"
        before = verdicts(url)
        shutil.copy(following.bundle, bundle)

        assert ACCEPTED not in before
        assert {ACCEPTED} == verdicts(url)


# -- a proxy that is itself behind TLS -----------------------------------------------------


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(("name", "expected"), [("localhost", ACCEPTED), ("other.test", MISMATCH)])
def test_a_proxy_behind_tls_is_verified(
    make: Callable[..., PrivateCA], monkeypatch: Any, scheme: str, name: str, expected: str
) -> None:
    """The certificate of a TLS proxy is verified by the same rules, for http and https URLs."""
    ca = make(name, "api.test")
    port, tls = (443, ca.context) if scheme == "https" else (80, None)
    with (
        raw_server(ANSWER, tls=tls) as api,
        ProxyServer({f"api.test:{port}": api.port}, tls=ca.context) as proxy,
    ):
        monkeypatch.setenv("ALL_PROXY", proxy.url)

        assert {expected} == verdicts(f"{scheme}://api.test")

    assert (len(WAYS) if expected == ACCEPTED else 0) == len(proxy.targets)
