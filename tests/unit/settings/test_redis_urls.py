"""The ledger's URL as the broker's and the result backend's settings give it."""

from __future__ import annotations

import ssl

import pytest

from mulequeue.errors import ConfigurationError
from mulequeue.ledger import connect
from mulequeue.settings.redis_urls import ledger_url

TLS = {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_ca_certs": "ca.pem", "ssl_keyfile": None}
SENTINELS = "sentinel://:pw@a:1/3;sentinel://b:2"


@pytest.mark.parametrize(
    ("conf", "url"),
    [
        ({}, None),
        ({"broker_url": "amqp://a;amqp://b", "result_backend": "rpc://"}, None),
        ({"broker_url": "redis://a/1", "result_backend": "redis://b"}, "redis://a/1"),
        ({"broker_url": "amqp://a", "result_backend": "redis://b/2"}, "redis://b/2"),
        ({"broker_url": "redis://a;redis://b"}, "redis://a"),
        ({"broker_url": ["redis://a", "redis://b"]}, "redis://a"),
        ({"broker_url": "redis+socket:///run/redis"}, "redis+socket:///run/redis"),
        ({"broker_url": "redis://a", "broker_use_ssl": True}, "rediss://a"),
        (
            {"broker_url": "rediss://a/1", "broker_use_ssl": TLS},
            "rediss://a/1?ssl_cert_reqs=required&ssl_ca_certs=ca.pem",
        ),
        (
            {
                "broker_url": "rediss://a/1",
                "broker_use_ssl": {
                    "ssl_exclude_verify_flags": [
                        ssl.VERIFY_X509_STRICT,
                        ssl.VERIFY_CRL_CHECK_LEAF | ssl.VERIFY_X509_PARTIAL_CHAIN,
                    ]
                },
            },
            "rediss://a/1?ssl_exclude_verify_flags=VERIFY_X509_STRICT%2CVERIFY_CRL_CHECK_LEAF"
            "%2CVERIFY_X509_PARTIAL_CHAIN",
        ),
        (
            {"result_backend": "rediss://a?ssl_cert_reqs=none", "redis_backend_use_ssl": TLS},
            "rediss://a?ssl_cert_reqs=none&ssl_ca_certs=ca.pem",
        ),
        (
            {"broker_url": SENTINELS, "broker_transport_options": {"master_name": "m"}},
            "redis+sentinel://:pw@a:1,b:2/m/3",
        ),
        (
            {
                "broker_url": "sentinel://a:1",
                "broker_use_ssl": True,
                "broker_transport_options": {
                    "master_name": "m",
                    "sentinel_kwargs": {"password": "s&p", "socket_timeout": 1},
                },
            },
            "rediss+sentinel://a:1/m/0?sentinel_password=s%26p",
        ),
    ],
)
def test_ledger_url(conf: dict[str, object], url: str | None) -> None:
    """The first of the two that is a Redis, with its TLS settings and sentinels, in one URL."""
    assert url == ledger_url(conf)


@pytest.mark.parametrize("word", ["required", "CERT_REQUIRED"])
def test_words_for_certificates(word: str) -> None:
    """What Celery and redis-py call a required certificate is one and the same."""
    client = connect(f"rediss://a?ssl_cert_reqs={word}&ssl_ca_certs=ca.pem")

    options = client.connection_pool.connection_kwargs
    assert ("required", "ca.pem") == (options["ssl_cert_reqs"], options["ssl_ca_certs"])


@pytest.mark.parametrize("url", ["redis+sentinel://a:1", "http://a", "redis+sentinel://a:1/"])
def test_a_url_that_cannot_be_used_says_what_to_set(url: str) -> None:
    """Both errors name the setting."""
    with pytest.raises(ConfigurationError, match="mulequeue_redis_url"):
        connect(url)


@pytest.mark.parametrize(
    "url", ["redis://:hunter2/x@h/0", "redis+sentinel://a:hunter2/m", "redis://[hunter2", "hunter2"]
)
def test_a_url_that_cannot_be_read_is_not_shown(url: str) -> None:
    """The parsers' own errors quote what they cannot read, which may be a part of a password."""
    with pytest.raises(ConfigurationError) as caught:
        connect(url)

    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_sentinels_are_asked_with_their_own_password_over_tls() -> None:
    """User and password of the URL are the master's; the sentinels' own stand in its query."""
    client = connect("rediss+sentinel://me:pw@a:1,b/m/2?sentinel_password=s&ssl_ca_certs=ca.pem")

    pool = client.connection_pool
    sentinels = pool.sentinel_manager.sentinels
    master, own = pool.connection_kwargs, sentinels[1].connection_pool.connection_kwargs
    assert ("me", "pw", 2) == (master["username"], master["password"], master["db"])
    assert ("b", 26379, "s") == (own["host"], own["port"], own["password"])
    assert "ca.pem" == master["ssl_ca_certs"] == own["ssl_ca_certs"]
    assert own.get("username") is None
