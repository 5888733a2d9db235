"""All settings of mulequeue, and their sources.

A value is read from ``app.conf`` (``mulequeue_…``; in Django ``CELERY_MULEQUEUE_…``), else from the
environment (``MULEQUEUE_…``), else the default is used. The key, the base URL and the site are also
read from the variables of the official client (``MULEROUTER_API_KEY``, ``MULEROUTER_BASE_URL``,
``MULEROUTER_SITE``).

A secret can also be in a file, which a variable with the ending ``_FILE`` names:
``MULEROUTER_API_KEY_FILE=/run/secrets/key``. If both variables are set, the one without it is used.
"""

from __future__ import annotations

import os
import typing
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import MISSING, dataclass, field, fields
from typing import Annotated, Any, Literal

from mulequeue.errors import ConfigurationError
from mulequeue.settings.environment import read_variable
from mulequeue.settings.names import check_setting_names, check_variable_names, setting_keys
from mulequeue.settings.profiles import (
    PROFILE_LIMITS,
    SITES,
    Profile,
    ProfileLimits,
    read_profile,
    read_value,
    unknown,
)
from mulequeue.settings.redis_urls import ledger_url
from mulequeue.settings.values import (
    BaseUrl,
    Between,
    Budget,
    FleetName,
    QueueName,
    RedisUrl,
    Site,
    Usd,
    allowed,
)

__all__ = ["SITES", "Profile", "Settings", "allowed_values", "default_of"]

DEFAULT_REDIS_URL = "redis://127.0.0.1:6379/0"
_OFFICIAL = {
    "api_key": "MULEROUTER_API_KEY",
    "base_url": "MULEROUTER_BASE_URL",
    "site": "MULEROUTER_SITE",
}
_MAY_BE_EMPTY = ("api_key", "base_url", "site", "notification_secret", "webhook_secret")
"""Set from the environment in a settings module, empty where it has none: the value is not set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(ProfileLimits):
    """All settings of mulequeue. Names that end in ``_seconds`` or ``_bytes`` have that unit.

    The inherited ones are the limits of the profile ``default``.
    """

    api_key: str | None = field(default=None, repr=False)
    """The API key (also MULEROUTER_API_KEY). Only workers need it."""
    base_url: BaseUrl | None = None
    """URL of the API's host (also MULEROUTER_BASE_URL). It overrides ``site``."""
    site: Site = "mulerouter"
    """``mulerouter`` or ``mulerun`` (also MULEROUTER_SITE)."""
    profiles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    """More accounts: ``{name: {"api_key": …, "base_url" or "site": …}}``. Each takes its own limits
    under the names below (``max_in_flight``, …, ``models``)."""
    former_fingerprints: tuple[str, ...] = ()
    """Fingerprints of replaced keys of the same account. Generations that were submitted with these
    keys continue with the current key."""
    models: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Limits of single models within the profile ``default``:
    ``{"vendor/model": {"max_in_flight": 2}}``, with the names above."""

    prices: Mapping[str, Any] = field(default_factory=dict)
    """Prices in US dollars that add to those of the catalog or override them:
    ``{"vendor/model": {"unit": "image", "usd": 0.03}}``, or a list of such prices with ``when``."""
    defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Default inputs of models: ``{"vendor/model": {"n": 1}}``. They are added to every input that lacks
    the field; None in an input keeps a default out."""
    confirm_above: Budget = 100
    """``mulequeue batch`` on a terminal asks before it enqueues more generations than this."""
    confirm_above_usd: Usd = 10.0
    """``mulequeue batch`` on a terminal asks before it enqueues generations whose estimated cost in US
    dollars is higher than this."""

    fleet: FleetName = "default"
    """Name of the ledger. Fleets that share a Redis need different names."""
    redis_url: RedisUrl = field(default=DEFAULT_REDIS_URL, repr=False)
    """URL of the ledger's Redis, as :func:`mulequeue.ledger.connect` accepts it. If it is not set, the
    ledger uses the Redis of the broker or of the result backend, with its TLS settings and sentinels."""
    poll_queue: QueueName = "mulequeue.poll"
    """Queue of the poll message."""
    wake_queue: QueueName = "mulequeue.wake"
    """Queue of the messages that wake parked tasks."""

    submit_timeout_seconds: Annotated[float, Between(0.1, 90)] = 60.0
    """Seconds for one create request, until the last byte of its response; at most 90."""
    poll_timeout_seconds: Annotated[float, Between(0.1, 60)] = 15.0
    """Seconds for one status check, until the last byte of its response."""
    poll_concurrency: Annotated[int, Between(1, 10_000)] = 64
    """Maximum of concurrent status checks in one sweep. Checks that hang are not counted."""
    learn_cadence: bool = True
    """True: the durations of the model's latest generations decide when status checks are made.
    False: the model's own intervals are used."""
    not_found_grace_seconds: Annotated[float, Between(0, 86_400)] = 60.0
    """Seconds after submission in which a 404 on a status check means "not visible yet". A generation
    that completed without files is checked again for this long, at most 60."""
    max_wait_seconds: Annotated[float, Between(1, 86_400)] | None = None
    """Seconds that a generation may stay active before it is settled ``timed_out``; at most 86400.
    None: the model's own limit."""
    record_ttl_seconds: Annotated[int, Between(1, 10 * 365 * 86_400)] = 7 * 24 * 3600
    """Seconds that the record of a delivered generation is kept."""

    storage: str = "mulequeue-files"
    """Where ``download`` stores files: a folder, or a URL (``s3://bucket/prefix``)."""
    storage_path: str = "{model}/{date}/{remote_id}/{index}.{ext}"
    """Template of the path within the storage. ``{task_id}`` and ``{kind}`` are available as well."""
    storage_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Options of an object store or of the fsspec file system."""
    download_timeout_seconds: Annotated[float, Between(0.1, 5 * 3600)] = 900.0
    """Seconds for the download of one asset."""
    download_max_bytes: Annotated[int, Between(1, 1024**5)] = 5 * 1024**3
    """Size in bytes of the largest asset that is stored."""
    downloads_at_once: Annotated[int, Between(1, 64)] = 4
    """Maximum of assets of one generation that are downloaded concurrently."""

    notification_secret: str | None = field(default=None, repr=False)
    """Secret that signs notifications (``whsec_`` and base64). Without it no notification is sent."""
    notification_timeout_seconds: Annotated[float, Between(0.1, 300)] = 20.0
    """Seconds for one attempt to send a notification."""
    notification_max_seconds: Annotated[float, Between(0, 30 * 86_400)] = 24 * 3600.0
    """Seconds after which a notification that its target does not accept is given up."""

    webhook_secret: tuple[str, ...] = field(default=(), repr=False)
    """Secrets of the API's webhooks, as its console shows them (``whsec_…``): one per account, and two
    while a secret is replaced. Without a secret all webhooks are rejected."""

    validate: Literal["strict", "warn", "off"] = "strict"
    """Validation of inputs before they are sent. ``strict`` rejects an input that all sources call
    invalid and logs a warning for a doubtful one, ``warn`` only logs, ``off`` skips the validation."""
    input_roots: tuple[str, ...] = ()
    """Folders on the worker that ``mulequeue.file(path)`` may read from. By default there are none."""
    input_max_bytes: Annotated[int, Between(1, 1024**3)] = 20 * 1024**2
    """Size in bytes of the largest file in an input."""
    allow_private_addresses: bool = False
    """True: downloads and notifications may use http and private, loopback and link-local addresses."""

    @classmethod
    def load(cls, app: Any = None, environ: Mapping[str, str] = os.environ) -> Settings:
        """Return the settings from a Celery app, the environment and the defaults, in this order.

        :param app: a Celery app; None reads the environment alone.
        :raises ConfigurationError: a ``mulequeue_…`` key or a ``MULEQUEUE_…`` variable is unknown, or a
            value is not allowed.
        """
        from mulequeue.catalog.defaults import check_defaults
        from mulequeue.settings.prices import check_prices, check_usd_limits

        conf = app.conf if app is not None else {}
        if app is not None:
            check_setting_names(setting_keys(app), _NAMES)
        check_variable_names((name for name, value in environ.items() if value), _NAMES)
        values: dict[str, Any] = {}
        for name in _NAMES:
            source, value = f"mulequeue_{name}", conf.get(f"mulequeue_{name}")
            if value is None or (value == "" and name in _MAY_BE_EMPTY):
                source, value = _from_environment(name, environ)
            if value is not None:
                values[name] = read_value(value, _HINTS[name], source)
        values.setdefault("redis_url", ledger_url(conf) or DEFAULT_REDIS_URL)
        settings = cls(**values)
        check_prices(settings.prices)
        check_defaults(settings.defaults)
        for profile in settings.all_profiles():
            check_usd_limits(settings.prices, profile)
        return settings

    def profile(self, name: str | None = None, *, needs_key: bool = True) -> Profile:
        """Return a profile (None: ``default``).

        :param needs_key: False accepts a profile without an API key, for callers that use its limits.
        :raises ConfigurationError: the profile is unknown, a value is invalid, or the key is missing.
        """
        name = name or "default"
        if name in self.profiles:
            return read_profile(name, self.profiles[name], needs_key=needs_key)
        if name != "default":
            text = unknown("profile", name, ["default", *self.profiles])
            raise ConfigurationError(f"{text} Define it in mulequeue_profiles.")
        own = ("api_key", "base_url", "site", *PROFILE_LIMITS, "models")
        given = {key: getattr(self, key) for key in own}
        return read_profile(name, given, needs_key=needs_key)

    def all_profiles(self) -> list[Profile]:
        """Return every profile, also those that this process has no key for."""
        names = dict.fromkeys(["default", *self.profiles])
        return [self.profile(name, needs_key=False) for name in names]

    def profile_of(self, name: str, base_url: str | None) -> Profile:
        """Return the profile of an earlier generation: if it was renamed, the only one of its host.

        :raises ConfigurationError: as :meth:`profile`.
        """
        same_host = [found for found in self.known_profiles() if found.base_url == base_url]
        is_renamed = name != "default" and name not in self.profiles
        return same_host[0] if is_renamed and len(same_host) == 1 else self.profile(name)

    def known_profiles(self) -> list[Profile]:
        """Return every profile that this process can use; :meth:`profile_errors` has the others."""
        found = []
        for name in ("default", *self.profiles):
            with suppress(ConfigurationError):
                found.append(self.profile(name))
        return list(dict.fromkeys(found))

    def profile_errors(self) -> dict[str, ConfigurationError]:
        """Return the configured profiles that this process cannot use, with the reason.

        The profile ``default`` may lack a key, because only workers need one.
        """
        errors = {}
        for name in ("default", *self.profiles):
            try:
                self.profile(name, needs_key=name in self.profiles)
            except ConfigurationError as exc:
                errors[name] = exc
        return errors


_NAMES = tuple(item.name for item in fields(Settings))
_HINTS = typing.get_type_hints(Settings, include_extras=True)


def _from_environment(name: str, environ: Mapping[str, str]) -> tuple[str, str | None]:
    variables = [f"MULEQUEUE_{name.upper()}", *filter(None, [_OFFICIAL.get(name)])]
    for variable in variables:
        value = read_variable(variable, environ)
        if value is not None:
            return variable, value
    return variables[-1], None


def allowed_values(name: str) -> str:
    """Return in words what a setting allows, for the documentation."""
    return allowed(_HINTS[name])


def default_of(name: str) -> Any:
    """Return the default of a setting, for the documentation."""
    item = next(entry for entry in fields(Settings) if entry.name == name)
    return item.default if item.default_factory is MISSING else item.default_factory()
