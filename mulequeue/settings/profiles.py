"""Profiles: accounts of the API (host, key, limits), each under a name."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_type_hints

from mulequeue.errors import ConfigurationError
from mulequeue.settings.values import BaseUrl, Budget, Count, Site, Usd, convert

SITES = {"mulerouter": "https://api.mulerouter.ai", "mulerun": "https://api.mulerun.com"}
NO_KEY = (
    "No API key for profile {name!r}. Set MULEROUTER_API_KEY, "
    "or mulequeue_api_key in your Celery configuration."
)
_NO_KEY_OF_NAMED = (
    "No API key for profile {name!r}. Set its api_key in mulequeue_profiles, "
    "on each worker that is to use it."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits for the whole fleet; None: no limit.

    Generations that exceed ``max_in_flight`` or a rate (``submissions_per_…``) wait. The other limits are
    budgets: generations that exceed one are rejected before they are sent, with an error of type
    ``BudgetExceeded``.
    """

    max_in_flight: Count | None = None
    """Maximum of generations in flight at once, from before the create request to the outcome. Further ones
    wait."""
    submissions_per_second: Count | None = None
    """Maximum of create requests that the API receives within any second. Further ones wait."""
    submissions_per_minute: Count | None = None
    """Maximum of create requests that the API receives within any minute. Further ones wait."""
    max_per_day: Budget | None = None
    """Maximum of generations per day, from 00:00 UTC by Redis' clock. Further ones are not sent; their
    outcome is ``failed`` with an error of type ``BudgetExceeded``."""
    max_per_batch: Budget | None = None
    """Maximum of generations per batch. For a larger batch ``BudgetExceeded`` is raised, and none of its
    generations is sent."""
    max_usd_per_day: Usd | None = None
    """Maximum of the estimated cost per day in US dollars. A generation that would exceed it, or whose price
    is unknown, is not sent; its outcome is ``failed``, as with ``max_per_day``."""
    max_usd_per_batch: Usd | None = None
    """Maximum of the estimated cost per batch in US dollars. For a batch that costs more, or that contains a
    generation whose price is unknown, ``BudgetExceeded`` is raised, and none of its generations is sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileLimits(Limits):
    """The limits of a profile: those that a model can have as well, and those per ``fair_key``."""

    max_in_flight_per_fair_key: Count | None = None
    """Maximum of generations in flight at once per ``fair_key``. Further ones wait. It does not limit
    generations without a fair key."""
    max_usd_per_day_per_fair_key: Usd | None = None
    """Maximum of the estimated cost per day and ``fair_key`` in US dollars, as ``max_usd_per_day``. It does
    not limit generations without a fair key."""


USD_LIMITS = ("max_usd_per_day", "max_usd_per_batch")
_LIMIT_HINTS = get_type_hints(Limits, include_extras=True)
_PROFILE_HINTS = get_type_hints(ProfileLimits, include_extras=True)
PROFILE_LIMITS = tuple(_PROFILE_HINTS)
_HINTS = {"api_key": str, "base_url": BaseUrl, "site": Site, **_PROFILE_HINTS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile(ProfileLimits):
    """An account of the API: host, key and limits."""

    name: str
    base_url: str
    """Without a trailing slash."""
    api_key: str = field(repr=False)
    models: Mapping[str, Limits] = field(default_factory=dict, hash=False)
    """Additional limits of single models; a key is an api_path without ``/vendors/``."""

    @property
    def fingerprint(self) -> str:
        """Return a short hash of base URL and API key, by which a record names its account."""
        return hashlib.sha256(f"{self.base_url}\n{self.api_key}".encode()).hexdigest()[:8]

    def limits_of(self, path: str) -> tuple[Limits, ...]:
        """Return all limits for an api_path: those of the profile, then those of the model."""
        model = self.models.get(path)
        return (self,) if model is None else (self, model)

    def next_place_seconds(self, path: str) -> float | None:
        """Return the seconds after a response until the rate limits may allow the next create request.

        That is the length of the shortest limited window: a second or a minute. None: no rate is limited.
        """
        limits = self.limits_of(path)
        if any(each.submissions_per_second is not None for each in limits):
            return 1.0
        return 60.0 if any(each.submissions_per_minute is not None for each in limits) else None


def read_profile(name: str, given: Mapping[str, Any], *, needs_key: bool = True) -> Profile:
    """Return the profile that a dictionary of settings describes.

    :param given: ``api_key``, ``base_url`` or ``site``, the names in :data:`PROFILE_LIMITS`, and
        ``models``: ``{"vendor/model": {limits}}``.
    :param needs_key: False accepts a profile without an API key.
    :raises ConfigurationError: a key is unknown, a value is invalid, or the API key is missing.
    """
    _check_names(f"key of profile {name!r}:", given, (*_HINTS, "models"))
    values = _converted(f"profile {name!r}", given, _HINTS)
    if needs_key and "api_key" not in values:
        text = NO_KEY if name == "default" else _NO_KEY_OF_NAMED
        raise ConfigurationError(text.format(name=name))
    site = values.pop("site", "mulerouter")
    return Profile(
        name=name,
        base_url=values.pop("base_url", SITES[site]).rstrip("/"),
        api_key=values.pop("api_key", ""),
        models=_models(name, given.get("models") or {}),
        **values,
    )


def _models(profile: str, given: Any) -> dict[str, Limits]:
    from mulequeue import catalog

    found = {}
    for name, model, limits in catalog.models_in(f"models of profile {profile!r}", given):
        whose = f"model {name!r} in profile {profile!r}"
        if not isinstance(limits, Mapping):
            raise ConfigurationError(f"The limits of {whose} must be a dictionary.")
        _check_names(f"limit of {whose}:", limits, _LIMIT_HINTS)
        found[model.path] = Limits(**_converted(whose, limits, _LIMIT_HINTS))
    return found


def _converted(whose: str, given: Mapping[str, Any], hints: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that are set, converted. None and empty text count as not set."""
    return {
        name: read_value(given[name], hint, f"{name} of {whose}")
        for name, hint in hints.items()
        if given.get(name) is not None and given[name] != ""
    }


def read_value(value: Any, hint: Any, source: str) -> Any:
    """Return a value converted to the type of its setting.

    :param source: the setting, variable or key that contains the value, for the text of the error.
    :raises ConfigurationError: the value is not allowed. The text names the source and the allowed values. It
        never contains the value, which may be a secret under a wrong name.
    """
    try:
        return convert(value, hint)
    except ValueError as exc:
        raise ConfigurationError(f"{source} is invalid. It must be {exc}") from None


def _check_names(what: str, given: Iterable[str], known: Iterable[str]) -> None:
    for name in given:
        if name not in known:
            raise ConfigurationError(unknown(what, str(name), known))


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """Return the text of an error for an unknown name, with similar names, else with all known names."""
    known = list(known)
    folded = {item.lower(): item for item in known}
    near = [
        folded[item] for item in difflib.get_close_matches(name.lower(), folded, n=3, cutoff=0.5)
    ]
    hint = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(known)}."
    return f"Unknown {what} {name!r}. {hint}"
