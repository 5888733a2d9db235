"""Send create requests to a test server, and the responses that it gives."""

from __future__ import annotations

import json
from typing import Any

from mulequeue.api import client
from mulequeue.api.request_options import request_headers
from mulequeue.api.results import MAX_RESPONSE_BYTES
from mulequeue.net.environment import ca_bundle, proxy_for, tls_context
from mulequeue.settings import Profile, Settings
from support.aiohttp_connections import AiohttpConnections

KEY = "sk-mr-" + "0123456789abcdef" * 4
PATH = "/vendors/alibaba/v1/wan2.6-t2i/generation"
ID = "5f0c2a4e-6b1d-4a53-9b41-3f1c8f0a7d11"
PENDING = json.dumps({"task_info": {"id": ID, "status": "pending"}})
FAILED = {"status": "failed", "error": {"code": 3001, "title": "Invalid Request", "detail": "no"}}
PROBLEM = json.dumps({"status": 400, "title": "Bad", "detail": "n is 9", "error_code": 2001})
GONE = json.dumps(
    {"status": 404, "error_code": 2005, "detail": f"Task with ID {ID} does not exist"}
)


def profile_of(url: str, key: str = KEY) -> Profile:
    """Return the profile of an API at that URL."""
    return Profile(name="default", base_url=url, api_key=key)


def aiohttp_connections(profile: Profile) -> AiohttpConnections:
    """Return aiohttp's connections to a profile's host, through the proxy of the environment."""
    return AiohttpConnections(
        profile.base_url,
        request_headers(profile),
        ssl_context=tls_context(ca_bundle()),
        max_bytes=MAX_RESPONSE_BYTES,
        proxy=proxy_for(profile.base_url),
    )


def submit(
    url: str, body: dict[str, Any] | None = None, *, seconds: float = 5.0, **options: Any
) -> Any:
    """Send one create request with a total deadline, and return its result."""
    settings = Settings(submit_timeout_seconds=seconds)
    given = {"prompt": "a mule"} if body is None else body
    return client.submit_once(profile_of(url), PATH, given, settings=settings, **options)
