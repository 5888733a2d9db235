"""Check that the API accepts each key, and that each key belongs to the host to which it is sent."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mulequeue import catalog
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

KEY_TIMEOUT_SECONDS = 10.0
_KEY_PREFIXES = {"mulerouter": "sk-mr-", "mulerun": "muk-"}
_FINGERPRINT = re.compile(r"[0-9a-f]{8}\Z")


def examine_account(app: Any, settings: Settings) -> list[Finding]:
    """Test the API key of every profile for free: request the status of an id that cannot exist."""
    profiles, unusable = settings.known_profiles(), unusable_profiles(settings)
    if not profiles:
        return unusable or [no_key(app)]
    misplaced = {profile.name: wrong_site(app, profile) for profile in profiles}
    found = [finding for finding in misplaced.values() if finding is not None]
    # A key of the other site is not sent: the rejection would be a second finding for the same fault.
    matching = [profile for profile in profiles if misplaced[profile.name] is None]
    for profile, checked in zip(matching, check_keys(matching), strict=True):
        found.append(key(app, profile, checked))
    return [*unusable, *found, *former_fingerprints(app, settings.former_fingerprints)]


def unusable_profiles(settings: Settings) -> list[Finding]:
    """Return a finding for each profile that this machine cannot use. Other profiles are not affected."""
    return [
        of_configuration(
            "key", exc, "Until then its generations are left to workers that can use it."
        )
        for exc in settings.profile_errors().values()
    ]


def no_key(app: Any) -> Finding:
    return error(
        "key",
        "No API key is set here. Workers need one; a web process does not.",
        "Set one of these where the workers run, or run the doctor there:\n"
        f"  export MULEROUTER_API_KEY=sk-mr-…\n  {setting_name(app, 'mulequeue_api_key')} = …",
    )


def wrong_site(app: Any, profile: Profile) -> Finding | None:
    """Return a finding if the key has the prefix of another site than the one to which it is sent."""
    host = urlsplit(profile.base_url).hostname
    prefixes = _KEY_PREFIXES.items()
    owner = next((site for site, prefix in prefixes if profile.api_key.startswith(prefix)), None)
    site = next((name for name, url in SITES.items() if urlsplit(url).hostname == host), owner)
    if owner is None or site is None or site == owner:
        return None
    return error(
        "site",
        f"The key of profile {profile.name} ({_KEY_PREFIXES[owner]}…) belongs to {owner}, but is sent to "
        f"{host}, which rejects it.",
        f"Set:\n  {setting_name(app, 'mulequeue_site')} = {owner!r}\n"
        f"or use a key of {host} ({_KEY_PREFIXES[site]}…).",
    )


def check_keys(profiles: Iterable[Profile]) -> list[KeyCheck]:
    """Check all keys with the API concurrently; return the results in the order of the profiles."""
    from mulequeue.api.status_checks import StatusClient, check_key

    path = catalog.all_models()[0].api_path

    async def check_all() -> list[KeyCheck]:
        async with StatusClient() as client:
            checks = (
                check_key(client, profile, path, timeout_seconds=KEY_TIMEOUT_SECONDS)
                for profile in profiles
            )
            return await asyncio.gather(*checks)

    return run_blocking(check_all)


def key(app: Any, profile: Profile, checked: KeyCheck) -> Finding:
    """Return the finding for a key that was checked. The key is removed from the reason in its text."""
    reason = checked.reason.replace(profile.api_key, "…").rstrip(".")
    if checked.works:
        host = profile.base_url.partition("://")[2]
        return passed("key", f"{host} accepts the key of {profile.name} ({profile.fingerprint}).")
    if checked.works is None:
        return warning(
            "key",
            f"The key of profile {profile.name} could not be checked at {profile.base_url}: "
            f"{reason}.",
            f"Check the address ({setting_name(app, 'mulequeue_base_url')}), the proxy and the network.",
        )
    return error(
        "key",
        f"{profile.base_url} rejects the key of profile {profile.name}: {reason}.",
        f"Set {setting_name(app, 'mulequeue_api_key')} to a key from that site's console and restart the "
        "workers:\n  export MULEROUTER_API_KEY=sk-mr-…",
    )


def former_fingerprints(app: Any, given: Sequence[str]) -> list[Finding]:
    """Check the format of each former fingerprint. The text never contains an invalid one: it may be a key."""
    if not given:
        return []
    if all(_FINGERPRINT.match(item) for item in given):
        return [passed("former-fingerprints", f"Former keys: {', '.join(given)}")]
    return [
        error(
            "former-fingerprints",
            f"{setting_name(app, 'mulequeue_former_fingerprints')} holds a value that is not a "
            "fingerprint (eight characters 0-9, a-f). It matches no generation.",
            "Set the fingerprint that the doctor or a worker's log shows, never a key.",
        )
    ]
