"""The API's keys: do they work, and do they belong to the host they are sent to?"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mulequeue import catalog
from mulequeue.errors import ConfigurationError
from mulequeue.net.run_blocking import run_blocking
from mulequeue.ops.health.check_result import (
    Finding,
    error,
    of_configuration,
    passed,
    setting_name,
    warning,
)
from mulequeue.settings import SITES, Profile, Settings

if TYPE_CHECKING:
    from mulequeue.api.results import KeyCheck

TIMEOUT_SECONDS = 10.0
_KEY_STARTS = {"mulerouter": "sk-mr-", "mulerun": "muk-"}
_FINGERPRINT = re.compile(r"[0-9a-f]{8}\Z")


def examine_account(app: Any, settings: Settings) -> list[Finding]:
    """Every profile's key is tried, for free: the status of an id that cannot exist is asked for."""
    try:
        profiles = settings.known_profiles()
    except ConfigurationError as exc:
        return [of_configuration("key", exc)]
    if not profiles:
        return [no_key(app)]
    found = [finding for profile in profiles if (finding := wrong_site(app, profile))]
    # A key at the wrong site is refused, which is said already.
    sensible = [profile for profile in profiles if wrong_site(app, profile) is None]
    for profile, checked in zip(sensible, check_keys(sensible), strict=True):
        found.append(key(app, profile, checked))
    found += former_fingerprints(app, settings.former_fingerprints)
    return found


def no_key(app: Any) -> Finding:
    return error(
        "key",
        "No API key is set here. Workers need one; a web process does not.",
        "Set one of these where the workers run, or run mulequeue doctor there:\n"
        f"  export MULEROUTER_API_KEY=sk-mr-…\n  {setting_name(app, 'mulequeue_api_key')} = …",
    )


def wrong_site(app: Any, profile: Profile) -> Finding | None:
    """A key that by its first characters belongs to the other site; None: nothing to say."""
    host = urlsplit(profile.base_url).hostname
    for site, start in _KEY_STARTS.items():
        if not profile.api_key.startswith(start):
            continue
        others = [urlsplit(url).hostname for name, url in SITES.items() if name != site]
        if host in others:
            return error(
                "site",
                f"The key of profile {profile.name} ({start}…) belongs to {site}, but is sent to "
                f"{host}, which refuses it.",
                f"Set:\n  {setting_name(app, 'mulequeue_site')} = {site!r}\n"
                f"or give a key of {host} ({_start_for(host)}…).",
            )
    return None


def _start_for(host: str | None) -> str:
    return next(_KEY_STARTS[name] for name, url in SITES.items() if urlsplit(url).hostname == host)


def check_keys(profiles: Iterable[Profile]) -> list[KeyCheck]:
    """What the API thinks of each key; all are asked at once."""
    from mulequeue.api.status_checks import StatusClient, check_key

    path = catalog.all_models()[0].api_path

    async def ask() -> list[KeyCheck]:
        async with StatusClient(limit=8) as checks:
            return await asyncio.gather(
                *(
                    check_key(checks, profile, path, timeout_seconds=TIMEOUT_SECONDS)
                    for profile in profiles
                )
            )

    return run_blocking(ask)


def key(app: Any, profile: Profile, checked: KeyCheck) -> Finding:
    """What a check of a key means."""
    reason = checked.reason.replace(profile.api_key, "…").rstrip(".")
    whose = f"The key of profile {profile.name}"
    if checked.works:
        host = profile.base_url.partition("://")[2]
        return passed("key", f"{profile.name} ({profile.fingerprint}) works at {host}")
    if checked.works is None:
        return warning(
            "key",
            f"{whose} could not be tried at {profile.base_url}: {reason}.",
            f"Check the address ({setting_name(app, 'mulequeue_base_url')}), the proxy and the network.",
        )
    return error(
        "key",
        f"{whose} is refused by {profile.base_url}: {reason}.",
        f"Set {setting_name(app, 'mulequeue_api_key')} to a key from that site's console and restart the "
        "workers:\n  export MULEROUTER_API_KEY=sk-mr-…",
    )


def former_fingerprints(app: Any, given: Iterable[str]) -> list[Finding]:
    """Whether they can be fingerprints at all; what is none is not shown, it may be a key."""
    given = list(given)
    name = setting_name(app, "mulequeue_former_fingerprints")
    if not given:
        return []
    if not all(_FINGERPRINT.match(item) for item in given):
        return [
            error(
                "former-fingerprints",
                f"{name} holds something that is no fingerprint (eight characters 0-9, a-f).",
                "Put the fingerprint there that the doctor or a worker's log names, never a key.",
            )
        ]
    return [passed("former-fingerprints", f"Former keys: {', '.join(given)}")]
