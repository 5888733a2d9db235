"""Profiles: an account of the API (host, key, limits) under a name."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from mulequeue.errors import ConfigurationError, InputError

SITES = {"mulerouter": "https://api.mulerouter.ai", "mulerun": "https://api.mulerun.com"}
_NO_KEY = (
    "No API key for profile {name!r}. Set MULEROUTER_API_KEY, "
    "or mulequeue_api_key in your Celery configuration."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits for the whole fleet; None: no limit.

    Generations above ``max_in_flight`` or a rate wait. Generations above ``max_per_day`` or
    ``max_per_batch`` are rejected before anything is sent, with an error of type ``BudgetExceeded``.
    """

    max_in_flight: int | None = None
    """Maximum of generations in flight at once, from before the create request to the outcome."""
    submissions_per_second: int | None = None
    """Maximum of create requests within any second, as the API receives them."""
    submissions_per_minute: int | None = None
    """Maximum of create requests within any minute, as the API receives them."""
    max_per_day: int | None = None
    """Maximum of generations per day. A day begins at 00:00 UTC by Redis' clock."""
    max_per_batch: int | None = None
    """Maximum of generations per batch; a larger batch is rejected completely."""

    @property
    def window_seconds(self) -> float | None:
        """Return the length in seconds of the shortest limited window, or None without a rate limit."""
        if self.submissions_per_second is not None:
            return 1.0
        return None if self.submissions_per_minute is None else 60.0


LIMITS = tuple(item.name for item in fields(Limits))
_BUDGETS = ("max_per_day", "max_per_batch")
_KEYS = ("api_key", "base_url", "site", *LIMITS, "models")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile(Limits):
    """An account of the API: host, key and limits."""

    name: str
    base_url: str
    """Without a trailing slash."""
    api_key: str = field(repr=False)
    models: Mapping[str, Limits] = field(default_factory=dict, hash=False)
    """Additional limits of single models, by api_path without ``/vendors/``."""

    @property
    def fingerprint(self) -> str:
        """Return a short hash of host and key, which ties a record to its account."""
        return hashlib.sha256(f"{self.base_url}\n{self.api_key}".encode()).hexdigest()[:8]

    def limits_of(self, path: str) -> tuple[Limits, ...]:
        """Return all limits for an api_path: those of the profile, then those of the model."""
        model = self.models.get(path)
        return (self,) if model is None else (self, model)

    def next_place_seconds(self, path: str) -> float | None:
        """Return the seconds after a response until the rate limits allow the next create request.

        None: the rates are not limited.
        """
        windows = [limits.window_seconds for limits in self.limits_of(path)]
        return min((seconds for seconds in windows if seconds is not None), default=None)


def read_profile(name: str, given: Mapping[str, Any], *, needs_key: bool = True) -> Profile:
    """Return the profile that these settings describe.

    :param given: ``api_key``, ``base_url`` or ``site``, the names of :class:`Limits`, and
        ``models``: ``{"vendor/model": {limits}}``.
    :param needs_key: False accepts a profile without an API key.
    :raises ConfigurationError: a key is unknown, a value is invalid, or the API key is missing.
    """
    _check_names(f"key of profile {name!r}:", given, _KEYS)
    key = str(given.get("api_key") or "").strip()
    if needs_key and not key:
        raise ConfigurationError(_NO_KEY.format(name=name))
    return Profile(
        name=name,
        base_url=_base_url(given),
        api_key=key,
        models=_models(name, given.get("models") or {}),
        **_limits(f"profile {name!r}", given),
    )


def _models(profile: str, given: Any) -> dict[str, Limits]:
    from mulequeue import catalog

    if not isinstance(given, Mapping):
        raise ConfigurationError(
            f'models of profile {profile!r} must be a dictionary like {{"vendor/model": {{…}}}}.'
        )
    found = {}
    for name, limits in given.items():
        try:
            path = catalog.find(name).api_path.removeprefix("/vendors/")
        except InputError as exc:
            raise ConfigurationError(f"models of profile {profile!r}: {exc}") from None
        whose = f"model {name!r} in profile {profile!r}"
        if not isinstance(limits, Mapping):
            raise ConfigurationError(f"The limits of {whose} must be a dictionary.")
        _check_names(f"limit of {whose}:", limits, LIMITS)
        found[path] = Limits(**_limits(whose, limits))
    return found


def _limits(whose: str, given: Mapping[str, Any]) -> dict[str, int]:
    """Return the limits that are set.

    :raises ConfigurationError: a limit is not a whole number, or a rate is 0.
    """
    found = {name: given[name] for name in LIMITS if given.get(name) is not None}
    for name, value in found.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ConfigurationError(f"{name} of {whose} is {value!r}; it must be a whole number.")
        if value == 0 and name not in _BUDGETS:
            raise ConfigurationError(
                f"{name} of {whose} is 0, so nothing would ever be submitted. Remove it for no limit; "
                "use `mulequeue pause` to stop submissions."
            )
    return found


def _base_url(given: Mapping[str, Any]) -> str:
    url = given.get("base_url")
    if url is None:
        site = given.get("site") or "mulerouter"
        if site not in SITES:
            raise ConfigurationError(unknown("site", str(site), list(SITES)))
        url = SITES[site]
    url = str(url).rstrip("/")
    if not url.startswith(("https://", "http://")):
        raise ConfigurationError(
            f"The base URL {url!r} must start with https://, or with http:// for an emulator."
        )
    return url


def _check_names(what: str, given: Iterable[str], known: Iterable[str]) -> None:
    for name in given:
        if name not in known:
            raise ConfigurationError(unknown(what, str(name), known))


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """Return the text of an error for an unknown name, with similar names."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(known)}."
    return f"Unknown {what} {name!r}. {hint}"
