"""All settings of mulequeue, and their sources.

A value is read from ``app.conf`` (``mulequeue_…``; in Django ``CELERY_MULEQUEUE_…``), else from the
environment (``MULEQUEUE_…``), else the default is used. The API key, the base URL and the site are also
read from the variables of the official client (``MULEROUTER_API_KEY``, ``MULEROUTER_BASE_URL``,
``MULEROUTER_SITE``).

The value of every variable can also be the content of a file. The variable with the suffix ``_FILE`` names
the file: ``MULEROUTER_API_KEY_FILE=/run/secrets/key``. If both variables are set, the one without the suffix
is used.
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
"""Settings of which an empty text counts as not set: a settings module may copy a variable that is absent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(ProfileLimits):
    """All settings of mulequeue. Names that end in ``_seconds`` or ``_bytes`` have that unit.

    The fields inherited from :class:`ProfileLimits` are the limits of the profile ``default``.
    """

    api_key: str | None = field(default=None, repr=False)
    """The API key (also MULEROUTER_API_KEY). Only workers need it."""
    base_url: BaseUrl | None = None
    """URL of the API's host (also MULEROUTER_BASE_URL). It overrides ``site``."""
    site: Site = "mulerouter"
    """``mulerouter`` or ``mulerun`` (also MULEROUTER_SITE)."""
    profiles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    """Further accounts: ``{name: {"api_key": …, "base_url" or "site": …}}``. Each can have its own limits,
    under the names of the limits below (``max_in_flight``, …, ``models``)."""
    former_fingerprints: tuple[str, ...] = ()
    """Fingerprints of replaced API keys of the same account. Generations that were submitted with one of
    these keys are checked with the current key."""
    models: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Additional limits of single models within the profile ``default``:
    ``{"vendor/model": {"max_in_flight": 2}}``. The limits above are allowed, except those per fair key."""

    prices: Mapping[str, Any] = field(default_factory=dict)
    """Prices of models in US dollars, which replace the catalog's prices of the same model:
    ``{"vendor/model": {"unit": "image", "usd": 0.03}}``, or a list of such prices with ``when``."""
    defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Default inputs of models: ``{"vendor/model": {"n": 1}}``. A default is added to every input that lacks
    the field. A field whose value is None is not lacking, so its default is not added."""
    confirm_above: Budget = 100
    """``mulequeue batch`` on a terminal asks before it enqueues more generations than this."""
    confirm_above_usd: Usd = 10.0
    """``mulequeue batch`` on a terminal asks before it enqueues generations whose estimated cost in US
    dollars is higher than this."""

    fleet: FleetName = "default"
    """Name of the ledger. Fleets that share a Redis need different names."""
    redis_url: RedisUrl = field(default=DEFAULT_REDIS_URL, repr=False)
    """URL of the ledger's Redis, as :func:`mulequeue.ledger.connect` accepts it. If it is not set, the
    ledger uses the Redis of the broker, else that of the result backend, with its TLS settings and sentinels."""
    poll_queue: QueueName = "mulequeue.poll"
    """Queue of the poll message."""
    wake_queue: QueueName = "mulequeue.wake"
    """Queue of the messages that wake parked tasks."""

    submit_timeout_seconds: Annotated[float, Between(0.1, 90)] = 60.0
    """Seconds for one create request, until the last byte of its response; at most 90."""
    poll_timeout_seconds: Annotated[float, Between(0.1, 60)] = 15.0
    """Seconds for one status check, until the last byte of its response."""
    poll_concurrency: Annotated[int, Between(1, 10_000)] = 64
    """Maximum of concurrent status checks. A check that is unfinished a second after the end of its sweep no
    longer counts."""
    learn_cadence: bool = True
    """True: the durations of the model's latest generations decide when status checks are made.
    False: the model's own intervals are used."""
    not_found_grace_seconds: Annotated[float, Between(0, 86_400)] = 60.0
    """Seconds after submission in which a 404 on a status check means "not visible yet". A generation
    that completed without files is checked again for as many seconds, but for 60 at most."""
    max_wait_seconds: Annotated[float, Between(1, 86_400)] | None = None
    """Seconds that a generation may stay active before it is settled ``timed_out``; at most 86400.
    None: the model's own limit."""
    record_ttl_seconds: Annotated[int, Between(1, 10 * 365 * 86_400)] = 7 * 24 * 3600
    """Seconds that a record is kept after its outcome was delivered."""

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
    """Seconds from the first attempt until a notification that its target does not accept is given up."""

    webhook_secret: tuple[str, ...] = field(default=(), repr=False)
    """Secrets of the API's webhooks, as the console of the API shows them (``whsec_…``): one per account, or
    two while a secret is being replaced. Without a secret all webhooks are rejected."""

    validate: Literal["strict", "warn", "off"] = "strict"
    """Validation of inputs before they are sent. ``strict`` rejects an input that is invalid by all sources
    (the API's documentation and clients), and logs a warning if the sources differ. ``warn`` only logs
    warnings. ``off`` skips the validation."""
    input_roots: tuple[str, ...] = ()
    """Folders on the worker that ``mulequeue.file(path)`` may read from. By default there are none."""
    input_max_bytes: Annotated[int, Between(1, 1024**3)] = 20 * 1024**2
    """Size in bytes of the largest file in an input."""
    allow_private_addresses: bool = False
    """True: downloads and notifications may use http and private, loopback and link-local addresses."""

    @classmethod
    def load(cls, app: Any = None, environ: Mapping[str, str] = os.environ) -> Settings:
        """Return the settings: each from the Celery app, else from the environment, else its default.

        :param app: a Celery app; None: only the environment and the defaults.
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
        """Return a profile by its name (None: ``default``).

        :param needs_key: False accepts a profile without an API key, for callers that need only its limits.
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
        """Return every profile, also those whose API key this process lacks."""
        names = dict.fromkeys(["default", *self.profiles])
        return [self.profile(name, needs_key=False) for name in names]

    def profile_of(self, name: str, base_url: str | None) -> Profile:
        """Return the profile of an earlier generation.

        If no profile has that name any more, return the profile with the same base URL, if there is only one.

        :param base_url: the base URL of the earlier generation.

        :raises ConfigurationError: as :meth:`profile`.
        """
        same_host = [found for found in self.known_profiles() if found.base_url == base_url]
        is_renamed = name != "default" and name not in self.profiles
        return same_host[0] if is_renamed and len(same_host) == 1 else self.profile(name)

    def known_profiles(self) -> list[Profile]:
        """Return every valid profile with an API key; :meth:`profile_errors` explains the others."""
        found = []
        for name in ("default", *self.profiles):
            with suppress(ConfigurationError):
                found.append(self.profile(name))
        return list(dict.fromkeys(found))

    def profile_errors(self) -> dict[str, ConfigurationError]:
        """Return the error of each profile that this process cannot use, by name.

        A missing API key of the profile ``default`` is no error, because only workers need one.
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
    """Return a description of the values that a setting allows, for the documentation."""
    return allowed(_HINTS[name])


def default_of(name: str) -> Any:
    """Return the default of a setting, for the documentation."""
    item = next(entry for entry in fields(Settings) if entry.name == name)
    return item.default if item.default_factory is MISSING else item.default_factory()
