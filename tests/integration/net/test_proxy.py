"""Behind a proxy and a private CA all requests work, over both HTTP stacks.

The names end in ``.test``, which only the proxy can resolve.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from support.fleet import KEY, Fleet
from support.private_ca import PrivateCA, private_ca
from support.proxy_server import ProxyServer
from support.raw_server import RawServer, http, plain_network, raw_server  # noqa: F401
from support.waiting import wait_until

from mulequeue.api.client import NotSent, submit_once
from mulequeue.api.parsing import TaskReply
from mulequeue.api.request_options import PROXY_LOGIN
from mulequeue.api.status_checks import fetch_once
from mulequeue.net.address_guard import AddressGuard
from mulequeue.net.guarded_session import TransferSession
from mulequeue.settings import Settings

pytestmark = pytest.mark.usefixtures("plain_network")

MODEL = "alibaba/wan2.6-t2i"
API, ASSETS, HOOKS = "api.test", "assets.test", "hooks.test"
LOGIN = "mule:pass-word-of-the-proxy"
PENDING = http("200 OK", '{"task_info": {"id": "r1", "status": "pending"}}')


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> PrivateCA:
    return private_ca(tmp_path_factory.mktemp("ca"), API, ASSETS, HOOKS)


# -- a whole worker ------------------------------------------------------------------------


class Front:
    """The emulator's API and asset host behind TLS, under other names."""

    def __init__(self, emulator_url: str) -> None:
        self._emulator, self._assets = emulator_url, ""

    def api(self, connection: Any, request: Any, state: RawServer) -> None:
        answer = self._ask(self._emulator, request)
        found = re.search(rb"http://127\.0\.0\.1:\d+", answer.content)
        body = answer.content
        if found:
            self._assets = found[0].decode()
            body = body.replace(found[0], f"https://{ASSETS}".encode())
        connection.sendall(http(f"{answer.status_code} OK", body))

    def assets(self, connection: Any, request: Any, state: RawServer) -> None:
        answer = self._ask(self._assets, request)
        kind = answer.headers["Content-Type"]
        connection.sendall(http(f"{answer.status_code} OK", answer.content, Content_Type=kind))

    def _ask(self, origin: str, request: Any) -> requests.Response:
        method, path, _ = request.line.split()
        kept = {"authorization", "content-type", "user-agent"}
        headers = {name: value for name, value in request.headers.items() if name in kept}
        with requests.Session() as session:
            session.trust_env = False
            url = origin + path
            return session.request(method, url, data=request.body, headers=headers, timeout=30)


class Office:
    """A fleet whose worker can reach only the proxy."""

    def __init__(self, fleet: Fleet, proxy: ProxyServer, servers: dict[str, RawServer]) -> None:
        self.fleet, self.proxy, self.servers = fleet, proxy, servers


@contextmanager
def office(make_fleet: Callable[..., Fleet], ca: PrivateCA, login: str | None) -> Iterator[Office]:
    with ExitStack() as stack:
        fleet = make_fleet()
        front = Front(fleet.emulator.url)
        answers: dict[str, Any] = {API: front.api, ASSETS: front.assets, HOOKS: http("200 OK")}
        servers = {
            name: stack.enter_context(raw_server(answer, tls=ca.context))
            for name, answer in answers.items()
        }
        ports = {f"{name}:443": server.port for name, server in servers.items()}
        proxy = stack.enter_context(ProxyServer(ports, login=login))
        fleet.env["MULEROUTER_BASE_URL"] = f"https://{API}"
        stack.callback(lambda: [worker.stop() for worker in fleet.workers])
        yield Office(fleet, proxy, servers)


def start_chain(fleet: Fleet) -> Any:
    """Start generate | download | notify, with names that only the proxy resolves."""
    chain = fleet.task("mulequeue.generate", MODEL, {"prompt": "a mule"}, poll_interval=0.2)
    chain |= fleet.task("mulequeue.download")
    return (chain | fleet.task("mulequeue.notify", f"https://{HOOKS}/hook")).delay()


@pytest.mark.parametrize(
    ("proxy_variable", "ca_variable", "login"),
    [("HTTPS_PROXY", "REQUESTS_CA_BUNDLE", None), ("https_proxy", "SSL_CERT_FILE", LOGIN)],
)
def test_a_worker_does_everything_through_the_proxy(
    make_fleet: Any, ca: PrivateCA, proxy_variable: str, ca_variable: str, login: str | None
) -> None:
    """Submit, poll, download and notify go over CONNECT and trust the private CA."""
    with office(make_fleet, ca, login) as ctx:
        ctx.fleet.env |= {proxy_variable: ctx.proxy.url, ca_variable: str(ca.bundle)}
        ctx.fleet.worker()

        outcome = start_chain(ctx.fleet).get(timeout=60)

        assert "succeeded" == outcome["status"]
        stored = Path(urlsplit(outcome["files"][0]["url"]).path).read_bytes()
        assert stored.startswith(b"\x89PNG")
        methods = [request.line.split()[0] for request in ctx.servers[API].requests]
        assert 1 == methods.count("POST")
        assert 1 <= methods.count("GET")
        assert {f"CONNECT {name}:443" for name in ctx.servers} == set(ctx.proxy.targets)
        assert [] == ctx.proxy.refused
        assert [1, 1] == [len(ctx.servers[name].requests) for name in (ASSETS, HOOKS)]
        assert "authorization" not in ctx.servers[ASSETS].requests[0].headers
        assert all("proxy" not in str(server.requests).lower() for server in ctx.servers.values())
        assert LOGIN.partition(":")[2] not in ctx.fleet.logs + str(outcome)


def test_without_the_ca_nothing_is_sent(make_fleet: Any, ca: PrivateCA) -> None:
    """With an unknown CA the generation waits, and the log names the variable to set."""
    with office(make_fleet, ca, None) as ctx:
        ctx.fleet.env |= {"HTTPS_PROXY": ctx.proxy.url}
        worker = ctx.fleet.worker()

        task_id = start_chain(ctx.fleet).parent.parent.id
        wait_until(lambda: "submissions paused" in worker.text, what="the reason in the log")

        line = next(line for line in worker.text.splitlines() if "submissions paused" in line)
        assert "SSL_CERT_FILE name a CA bundle" in line
        assert "waiting" == ctx.fleet.ledger.queries.record(task_id).state
        assert [] == ctx.servers[API].requests
        assert 0 == ctx.fleet.emulator.stats()["creates"]


# -- both stacks, side by side -------------------------------------------------------------


def by_status_check(url: str) -> bool:
    """Return whether a status check gets a response of the API."""
    profile = Settings(api_key=KEY, base_url=url).profile()
    return isinstance(fetch_once(profile, "/vendors/a/v1/b", "r1", settings=Settings()), TaskReply)


def by_requests(url: str) -> bool:
    """Return whether a transfer gets a response of the API."""
    with TransferSession(AddressGuard(allow_private=True)) as session:
        try:
            return session.get(f"{url}/vendors/a/v1/b/r1", timeout=10).status_code == 200
        except requests.RequestException:
            return False


@pytest.fixture
def api(ca: PrivateCA) -> Iterator[RawServer]:
    with raw_server(PENDING, tls=ca.context) as server:
        yield server


def through(proxy: ProxyServer, url: str) -> bool:
    """Return whether both stacks reach the API through the proxy; they must agree."""
    first, second = by_status_check(url), by_requests(url)
    assert first == second
    assert first == (2 == len(proxy.targets))
    return first


@pytest.mark.parametrize(
    ("variables", "works"),
    [
        ({"HTTPS_PROXY": "{proxy}"}, True),
        ({"https_proxy": "{proxy}"}, True),
        ({"ALL_PROXY": "{proxy}"}, True),
        ({"all_proxy": "{proxy}"}, True),
        ({"HTTPS_PROXY": "127.0.0.1:{port}"}, True),
        ({"https_proxy": "{proxy}", "HTTPS_PROXY": "http://127.0.0.1:1"}, True),
        ({"https_proxy": "http://127.0.0.1:1", "HTTPS_PROXY": "{proxy}"}, False),
        ({"HTTP_PROXY": "{proxy}"}, False),
        ({"HTTPS_PROXY": "{proxy}", "NO_PROXY": "api.test"}, False),
        ({"HTTPS_PROXY": "{proxy}", "no_proxy": "api.test"}, False),
        ({"HTTPS_PROXY": "{proxy}", "NO_PROXY": ".test"}, False),
        ({"HTTPS_PROXY": "{proxy}", "NO_PROXY": "test"}, False),
        ({"HTTPS_PROXY": "{proxy}", "NO_PROXY": "other.example, api.test"}, False),
        ({"HTTPS_PROXY": "{proxy}", "NO_PROXY": "*"}, False),
        ({"ALL_PROXY": "{proxy}", "NO_PROXY": "api.test"}, False),
        ({"HTTPS_PROXY": "{proxy}", "NO_PROXY": "other.test,10.0.0.0/8,localhost"}, True),
        ({"HTTPS_PROXY": "{proxy}", "NO_PROXY": "pi.test"}, True),
        ({}, False),
    ],
)
def test_both_stacks_read_the_same_proxy_variables(
    api: RawServer, ca: PrivateCA, monkeypatch: Any, variables: dict[str, str], works: bool
) -> None:
    """Whatever is set, upper or lower case: both go through the proxy, or neither."""
    with ProxyServer({"api.test:443": api.port}) as proxy:
        monkeypatch.setenv("SSL_CERT_FILE", str(ca.bundle))
        for name, value in variables.items():
            monkeypatch.setenv(name, value.format(proxy=proxy.url, port=proxy.port))

        assert works == through(proxy, "https://api.test")


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_plain_http_goes_in_absolute_form(monkeypatch: Any, variable: str) -> None:
    """Both stacks send the whole URL to a proxy for an http URL, without a tunnel."""
    with raw_server(PENDING) as api, ProxyServer({"api.test:80": api.port}) as proxy:
        monkeypatch.setenv(variable, proxy.url)

        assert through(proxy, "http://api.test")
        assert ["GET api.test:80"] * 2 == proxy.targets


@pytest.mark.parametrize(
    ("login", "works"), [(LOGIN, True), ("mule:wrong", False), ("", False), ("m%40:p%3A%2F", True)]
)
def test_a_proxy_may_ask_for_a_login(
    api: RawServer, ca: PrivateCA, monkeypatch: Any, login: str, works: bool
) -> None:
    """Both stacks send the login of the proxy's URL to the proxy, quoted characters decoded."""
    wanted = "m@:p:/" if "%" in login else LOGIN
    with ProxyServer({"api.test:443": api.port}, login=wanted) as proxy:
        monkeypatch.setenv("SSL_CERT_FILE", str(ca.bundle))
        at = f"{login}@" if login else ""
        monkeypatch.setenv("HTTPS_PROXY", f"http://{at}127.0.0.1:{proxy.port}")

        assert works == through(proxy, "https://api.test")
    assert all("proxy-authorization" not in request.headers for request in api.requests)


@pytest.mark.parametrize("url", ["https://api.test", "http://api.test"])
def test_a_create_that_the_proxy_keeps_was_not_sent(monkeypatch: Any, url: str) -> None:
    """A 407 comes from the proxy: nothing was sent, and the reason names the fix."""
    with ProxyServer({}, login=LOGIN) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
        settings = Settings(api_key=KEY, base_url=url)

        answer = submit_once(settings.profile(), "/vendors/a/v1/b", {}, settings=settings)

    assert NotSent(reason=PROXY_LOGIN) == answer


@pytest.mark.parametrize(
    ("variables", "works"),
    [
        ({"REQUESTS_CA_BUNDLE": "ca"}, True),
        ({"CURL_CA_BUNDLE": "ca"}, True),
        ({"SSL_CERT_FILE": "ca"}, True),
        ({"REQUESTS_CA_BUNDLE": "ca", "SSL_CERT_FILE": "none"}, True),
        ({"REQUESTS_CA_BUNDLE": "none", "SSL_CERT_FILE": "ca"}, False),
        ({"REQUESTS_CA_BUNDLE": "", "SSL_CERT_FILE": "ca"}, True),
        ({}, False),
    ],
)
def test_both_stacks_read_the_same_ca_variables(
    api: RawServer, ca: PrivateCA, monkeypatch: Any, variables: dict[str, str], works: bool
) -> None:
    """The first CA variable that is set decides, for both alike; without one the CA is unknown."""
    other = Path(requests.certs.where())
    with ProxyServer({"api.test:443": api.port}) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        for name, value in variables.items():
            monkeypatch.setenv(name, {"ca": str(ca.bundle), "none": str(other)}.get(value, ""))

        assert [works, works] == [
            by_status_check("https://api.test"),
            by_requests("https://api.test"),
        ]
    if not works:
        assert [] == api.requests
