"""Notifications over real HTTP: signed, sent once per attempt, without the secret."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError
from support.raw_server import (  # noqa: F401
    drip,
    flood,
    hang_up,
    http,
    plain_network,
    raw_server,
    say_nothing,
)

from mulequeue.errors import ConfigurationError, InputError, NotificationError
from mulequeue.settings import Settings
from mulequeue.transfer.notifications import (
    Notification,
    build_notification,
    check_secret,
    check_target,
    new_secret,
    send_notification,
)

pytestmark = pytest.mark.usefixtures("plain_network")

SECRET = new_secret()
OUTCOME = {"task_id": "order-1", "remote_id": "r1", "status": "succeeded", "files": []}


def settings(**fields):
    known = {"notification_secret": SECRET, "base_url": "http://127.0.0.1:1"}
    return Settings(**(known | fields))


def send(target, seconds=5.0, **fields):
    given = settings(notification_timeout_seconds=seconds, **fields)
    send_notification(
        build_notification(OUTCOME, target), settings=given, timestamp=datetime.now(UTC)
    )


def test_a_notification_verifies_with_the_standard_library_of_the_scheme():
    """The receiver can verify a notification with Standard Webhooks and the shared secret."""
    with raw_server(http("204 No Content")) as server:
        send(f"{server.url}/hook?token=x")

    (request,) = server.requests
    body = Webhook(SECRET).verify(request.body, request.headers)
    assert "generation.succeeded" == body["type"]
    assert OUTCOME == body["data"]
    assert "POST /hook?token=x HTTP/1.1" == request.line
    assert "application/json" == request.headers["content-type"]
    assert (
        build_notification(OUTCOME, f"{server.url}/hook?token=x").id
        == request.headers["webhook-id"]
    )
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(request.body, request.headers)


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "202 Accepted"])
def test_every_2xx_is_done(status):
    """Any 2xx accepts the notification, after one request."""
    with raw_server(http(status, "thanks")) as server:
        send(server.url)

    assert 1 == len(server.requests)


@pytest.mark.parametrize(
    ("answer", "retryable"),
    [
        (http("410 Gone"), False),
        (http("400 Bad Request"), True),
        (http("401 Unauthorized"), True),
        (http("404 Not Found"), True),
        (http("429 Too Many Requests"), True),
        (http("500 Internal Server Error"), True),
        (http("302 Found", Location="http://127.0.0.1:9/"), True),
        (hang_up, True),
        (b"hello\r\n\r\n", True),
    ],
)
def test_only_a_410_ends_the_attempts(answer, retryable):
    """A 410 is final; all other errors are retryable. One request is sent each time."""
    with raw_server(answer) as server, pytest.raises(NotificationError) as refused:
        send(f"{server.url}/secret-path", seconds=1)

    assert retryable is refused.value.retryable
    assert 1 == len(server.requests)
    assert "secret-path" not in str(refused.value)
    assert SECRET not in str(refused.value)


def test_a_receiver_that_is_not_there_is_tried_again():
    """A refused connection is a retryable error."""
    with pytest.raises(NotificationError) as refused:
        send("http://127.0.0.1:9/hook")

    assert refused.value.retryable


@pytest.mark.parametrize("answer", [say_nothing, drip(b"HTTP/1.1 200 OK\r\nX: ")])
def test_an_attempt_has_a_total_deadline(answer):
    """A silent and a slow receiver end at the deadline, as a retryable error."""
    with raw_server(answer) as server, pytest.raises(NotificationError) as late:
        send(server.url, seconds=0.3)

    assert late.value.retryable
    assert "in time" in str(late.value)


@pytest.mark.parametrize(
    "answer",
    [
        flood(b"HTTP/1.1 200 OK\r\n\r\n"),
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"),
    ],
)
def test_an_endless_answer_is_left(answer):
    """The status decides: of a body without an end only 64 KiB are read."""
    with raw_server(answer) as server:
        send(server.url, seconds=0.5)

    assert 1 == len(server.requests)


@pytest.mark.parametrize(
    "target",
    [
        "ftp://example.com/",
        "hook",
        "https://user:hunter2@example.com/hook",
        "http://example.com/hook",
        "https://192.168.1.1/hook",
        "https://localhost/hook",
    ],
)
def test_a_target_is_refused_early(target):
    """Other schemes, credentials, plain http and private addresses are rejected before any task."""
    with pytest.raises(InputError) as refused:
        check_target(target, Settings())

    assert "hunter2" not in str(refused.value)


def test_a_refused_address_is_final():
    """A target that leads to a private address is a final error when it is sent."""
    with raw_server(http("200 OK")) as server, pytest.raises(NotificationError) as refused:
        send(server.url, base_url=None)

    assert not refused.value.retryable
    assert "mulequeue_allow_private_addresses" in str(refused.value)
    assert [] == server.requests


def test_a_name_that_leads_into_a_private_network_is_a_fault_of_this_process(monkeypatch):
    """Another machine may resolve the receiver's name to another address; nothing is sent to this one."""
    with raw_server(http("200 OK")) as server:
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("127.0.0.1", server.port))]
        )
        with pytest.raises(ConfigurationError, match=r"receiver\.example"):
            send("https://receiver.example/hook", base_url=None)

    assert [] == server.requests


def test_a_missing_ca_bundle_is_a_fault_of_this_process(monkeypatch):
    """A CA bundle that does not exist is an error of the configuration, and nothing is sent."""
    monkeypatch.setenv("SSL_CERT_FILE", "/not/there.pem")
    with raw_server(http("200 OK")) as server, pytest.raises(ConfigurationError):
        send(server.url)

    assert [] == server.requests


@pytest.mark.parametrize(
    "secret", [None, "", "whsec_", "whsec_not base64!", "hunter2!", "whsec_ä", "whsec_abcde"]
)
def test_a_secret_that_cannot_sign_is_a_configuration_error(secret):
    """Without a valid secret nothing is sent; the error explains how to make one."""
    given = settings(notification_secret=secret)
    notification = Notification(id="msg_1", target="http://127.0.0.1:9/", body=b"{}")

    with pytest.raises(ConfigurationError, match="new_secret") as refused:
        send_notification(notification, settings=given, timestamp=datetime.now(UTC))
    with pytest.raises(ConfigurationError):
        check_secret(given)

    assert refused.value.__context__ is None
    assert not secret or secret == "whsec_" or secret not in str(refused.value)


def test_a_body_is_the_same_bytes_every_time():
    """A repeated notification has the same id and the same bytes."""
    one = build_notification(dict(OUTCOME), "https://a/")
    two = build_notification(dict(reversed(OUTCOME.items())), "https://a/")

    assert one == two
    assert OUTCOME == json.loads(one.body)["data"]
