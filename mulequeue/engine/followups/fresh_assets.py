"""Insert the URL of an earlier generation's asset into an input, and renew it just before the input is sent."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from mulequeue.catalog.inputs import insert_asset
from mulequeue.engine.followups.batch_results import read_outcome
from mulequeue.engine.followups.download import NotReached, refresh_assets
from mulequeue.engine.generation_request import HostFault
from mulequeue.errors import AssetGone, ConfigurationError, DownloadError, InputError
from mulequeue.outcome import Asset, Outcome
from mulequeue.settings import Settings
from mulequeue.transfer.asset_stream import asset_chunks
from mulequeue.transfer.control import TransferControl

PROBE_SECONDS = 10.0
WAITS_SECONDS = (1.0, 2.0, 4.0, 8.0)
"""Between attempts to get a working URL: the asset host may not have a new file yet."""


def with_asset(
    task: Any, previous: Mapping[str, Any], input: Any, *, use: str, index: int
) -> dict[str, Any]:
    """Return the input with an asset of the previous outcome in the field ``use``.

    :raises InputError: there is no such asset, or the input is not a dict.
    """
    if not isinstance(input, Mapping):
        raise InputError(f"The input must be an object (a dict), not {type(input).__name__}.")
    assets = read_outcome(task.app, previous).assets
    if not -len(assets) <= index < len(assets):
        raise InputError(
            f"The previous generation has {len(assets)} asset(s); there is no index {index}."
        )
    return insert_asset(input, use, assets[index].url)


def with_fresh_asset(
    app: Any,
    previous: Mapping[str, Any],
    input: Mapping[str, Any],
    settings: Settings,
    *,
    use: str,
    index: int,
) -> dict[str, Any]:
    """Return the input with an asset of the previous outcome, whose URL works now.

    A generation may wait for hours before it is submitted, and the API bills a generation whose URL it cannot
    fetch.

    :raises AssetGone: the URL does not work, and the API gives no working one.
    :raises HostFault: the URL does not work, and this host cannot ask the API for another one.
    """
    outcome = read_outcome(app, previous)
    url = working_url(
        outcome,
        index,
        is_gone=partial(_is_gone, settings=settings),
        refresh=partial(_refresh, outcome, settings),
    )
    return insert_asset(input, use, url)


def working_url(
    outcome: Outcome,
    index: int,
    *,
    is_gone: Callable[[str], bool],
    refresh: Callable[[], Outcome | None],
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Return a URL of an asset that is not gone: the outcome's, or the one that the API gives now.

    :param is_gone: returns whether the asset host rejects a URL.
    :param refresh: reads the outcome from the API again.
    :raises AssetGone: no URL works.
    """
    asset = outcome.assets[index]
    if not is_gone(asset.url):
        return asset.url
    reason = "it has no asset of this index."
    for wait in (*WAITS_SECONDS, None):
        try:
            fresh = refresh()
        except DownloadError as exc:
            reason = str(exc)
            if not exc.retryable:
                break
        else:
            if fresh is None or not -len(fresh.assets) <= index < len(fresh.assets):
                break
            url, reason = fresh.assets[index].url, "its URL does not work."
            if not is_gone(url):
                return url
            if _has_expired(asset) and url == asset.url:
                break
        if wait is not None:
            sleep(wait)
    raise AssetGone(
        f"The asset of task {outcome.task_id} has expired, or was removed, and the API gives no new URL: "
        f"{reason} Nothing was sent. Generate it again.",
        retryable=False,
    )


def _refresh(outcome: Outcome, settings: Settings) -> Outcome | None:
    """Read the outcome from the API again.

    :raises HostFault: this host cannot reach the API, or its configuration has no profile for the outcome.
    """
    try:
        return refresh_assets(outcome, settings)
    except (ConfigurationError, NotReached) as exc:
        raise HostFault(str(exc)) from None


def _is_gone(url: str, settings: Settings) -> bool:
    """Return whether the asset host rejects a URL. Return False for other errors, such as a timeout."""
    limited = replace(settings, download_timeout_seconds=PROBE_SECONDS)
    try:
        with asset_chunks(url, settings=limited, control=TransferControl()):
            return False
    except AssetGone:
        return True
    except (DownloadError, ConfigurationError):
        return False


def _has_expired(asset: Asset) -> bool:
    """Return whether the retention of an asset is over. Return True if its end is unknown."""
    try:
        return datetime.fromisoformat(asset.expires_at or "") < datetime.now(UTC)
    except (ValueError, TypeError):
        return True
