"""All settings of mulequeue, and their sources.

A value is read from ``app.conf`` (``mulequeue_…``; in Django ``CELERY_MULEQUEUE_…``), else from the
environment (``MULEQUEUE_…``), else the default is used. The key, the base URL and the site are also
read from the variables of the official client (``MULEROUTER_API_KEY``, ``MULEROUTER_BASE_URL``,
``MULEROUTER_SITE``).
"""

from __future__ import annotations

import os
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal

from mulequeue.errors import ConfigurationError
from mulequeue.settings.profiles import LIMITS, SITES, Profile, read_profile, unknown
from mulequeue.settings.redis_urls import ledger_url

__all__ = ["SITES", "Profile", "Settings", "default_of", "check_setting_names"]

DEFAULT_REDIS_URL = "redis://127.0.0.1:6379/0"
_OFFICIAL = {
    "api_key": "MULEROUTER_API_KEY",
    "base_url": "MULEROUTER_BASE_URL",
    "site": "MULEROUTER_SITE",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of mulequeue. Names that end in ``_seconds`` or ``_bytes`` have that unit."""

    api_key: str | None = field(default=None, repr=False)
    """The API key (also MULEROUTER_API_KEY). Only workers need it."""
    base_url: str | None = None
    """URL of the API's host (also MULEROUTER_BASE_URL). It overrides ``site``."""
    site: str = "mulerouter"
    """``mulerouter`` or ``mulerun`` (also MULEROUTER_SITE)."""
    profiles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    """More accounts: ``{name: {"api_key": …, "base_url" or "site": …}}``. Each takes its own limits
    under the names below (``max_in_flight``, …, ``models``)."""
    former_fingerprints: tuple[str, ...] = ()
    """Fingerprints of replaced keys of the same account. Generations that were submitted with these
    keys continue with the current key."""
    max_in_flight: int | None = None
    """Maximum of generations in flight at once in the whole fleet, for the profile ``default``; more
    wait. None: no limit."""
    submissions_per_second: int | None = None
    """Maximum of create requests within any second, for the profile ``default``; more wait. None: no
    limit."""
    submissions_per_minute: int | None = None
    """Maximum of create requests within any minute, for the profile ``default``; more wait. None: no
    limit."""
    max_per_day: int | None = None
    """Maximum of generations per day (UTC), for the profile ``default``. More are not sent; their
    outcome is ``failed`` with an error of type ``BudgetExceeded``."""
    max_per_batch: int | None = None
    """Maximum of generations per batch, for the profile ``default``. A larger batch raises
    ``BudgetExceeded`` and nothing of it is sent."""
    models: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Limits of single models within the profile ``default``:
    ``{"vendor/model": {"max_in_flight": 2}}``, with the five names above."""

    fleet: str = "default"
    """Name of the ledger. Fleets that share a Redis need different names."""
    redis_url: str = field(default=DEFAULT_REDIS_URL, repr=False)
    """URL of the ledger's Redis, as :func:`mulequeue.ledger.connect` accepts it. If it is not set, the
    ledger uses the Redis of the broker or of the result backend, with its TLS settings and sentinels."""
    poll_queue: str = "mulequeue.poll"
    """Queue of the poll message."""
    wake_queue: str = "mulequeue.wake"
    """Queue of the messages that wake parked tasks."""

    submit_timeout_seconds: float = 60.0
    """Seconds for one create request, until the last byte of its response; at most 90."""
    poll_timeout_seconds: float = 15.0
    """Seconds for one status check, until the last byte of its response."""
    poll_concurrency: int = 64
    """Maximum of concurrent status checks in one sweep. Checks that hang are not counted."""
    learn_cadence: bool = True
    """True: the durations of the model's latest generations decide when status checks are made.
    False: the model's own intervals are used."""
    not_found_grace_seconds: float = 60.0
    """Seconds after submission in which a 404 on a status check means "not visible yet"."""
    max_wait_seconds: float | None = None
    """Seconds that a generation may stay active before it is settled ``timed_out``; at most 86400.
    None: the model's own limit."""
    record_ttl_seconds: int = 7 * 24 * 3600
    """Seconds that the record of a delivered generation is kept."""

    storage: str = "mulequeue-files"
    """Where ``download`` stores files: a folder, or a URL of fsspec (``s3://bucket/prefix``)."""
    storage_path: str = "{model}/{date}/{remote_id}/{index}.{ext}"
    """Template of the path within the storage. ``{task_id}`` and ``{kind}`` are available as well."""
    storage_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Options passed to the fsspec file system."""
    download_timeout_seconds: float = 900.0
    """Seconds for the download of one asset."""
    download_max_bytes: int = 5 * 1024**3
    """Size in bytes of the largest asset that is stored."""
    downloads_at_once: int = 4
    """Maximum of assets of one generation that are downloaded concurrently."""

    notification_secret: str | None = field(default=None, repr=False)
    """Secret that signs notifications (``whsec_`` and base64). Without it no notification is sent."""
    notification_timeout_seconds: float = 20.0
    """Seconds for one attempt to send a notification."""
    notification_max_seconds: float = 24 * 3600.0
    """Seconds after which a notification that its target does not accept is given up."""

    webhook_secret: tuple[str, ...] = field(default=(), repr=False)
    """Secrets of the API's webhooks, as its console shows them (``whsec_…``): one per account, and two
    while a secret is replaced. Without a secret all webhooks are rejected."""

    validate: Literal["strict", "warn", "off"] = "strict"
    """Validation of inputs before they are sent. ``strict`` rejects an input that all sources call
    invalid and logs a warning for a doubtful one, ``warn`` only logs, ``off`` skips the validation."""
    input_roots: tuple[str, ...] = ()
    """Folders on the worker that ``mulequeue.file(path)`` may read from. By default there are none."""
    input_max_bytes: int = 20 * 1024**2
    """Size in bytes of the largest file in an input."""
    allow_private_addresses: bool = False
    """True: downloads and notifications may use http and private, loopback and link-local addresses."""

    @classmethod
    def load(cls, app: Any = None, environ: Mapping[str, str] = os.environ) -> Settings:
        """Return the settings from a Celery app, the environment and the defaults, in this order.

        :param app: a Celery app; None reads the environment alone.
        :raises ConfigurationError: a ``mulequeue_…`` key is unknown, or a value has the wrong type.
        """
        conf = app.conf if app is not None else {}
        given = {name: conf.get(f"mulequeue_{name}") for name in _NAMES}
        if app is not None:
            check_setting_names(_keys(app))
        types_ = typing.get_type_hints(cls)
        values: dict[str, Any] = {}
        for item in fields(cls):
            value = given[item.name]
            source = f"mulequeue_{item.name}"
            if value is None:
                source, value = _from_environment(item.name, environ)
            if value is not None:
                values[item.name] = _convert(value, types_[item.name], source)
        values.setdefault("redis_url", ledger_url(conf) or DEFAULT_REDIS_URL)
        return cls(**values)

    def profile(self, name: str | None = None, *, needs_key: bool = True) -> Profile:
        """Return a profile (None: ``default``).

        :param needs_key: False accepts a profile without an API key, for callers that use its limits.
        :raises ConfigurationError: the profile is unknown, a value is invalid, or the key is missing.
        """
        name = name or "default"
        if name in self.profiles:
            return read_profile(name, self.profiles[name], needs_key=needs_key)
        if name != "default":
            raise ConfigurationError(unknown("profile", name, ["default", *self.profiles]))
        own = ("api_key", "base_url", "site", *LIMITS, "models")
        given = {key: getattr(self, key) for key in own}
        return read_profile(name, given, needs_key=needs_key)

    def known_profiles(self) -> list[Profile]:
        """Return every profile that this process has a key for."""
        names = dict.fromkeys(["default", *self.profiles])
        found = []
        for name in names:
            try:
                found.append(self.profile(name))
            except ConfigurationError:
                if name != "default":
                    raise
        return found


_NAMES = tuple(item.name for item in fields(Settings))


def check_setting_names(keys: Iterable[str]) -> None:
    """Raise ConfigurationError for an unknown ``mulequeue_…`` key; the text suggests similar names."""
    for key in keys:
        name = key.lower().removeprefix("celery_")
        if name.startswith("mulequeue_") and name.removeprefix("mulequeue_") not in _NAMES:
            known = [f"mulequeue_{item}" for item in _NAMES]
            raise ConfigurationError(unknown("setting", name, known))


def _keys(app: Any) -> list[str]:
    """Return the user's keys in lower case, without the namespace of the app."""
    prefix = (getattr(app.conf, "prefix", None) or "").lower()
    keys = []
    # Only the keys are used. With censored=True kombu before 5.6 fails on lists of URLs.
    for key in app.conf.table(censored=False):
        name = str(key).lower()
        keys.append(name.removeprefix(prefix) if prefix else name)
    return keys


def _from_environment(name: str, environ: Mapping[str, str]) -> tuple[str, str | None]:
    variable = f"MULEQUEUE_{name.upper()}"
    if environ.get(variable):
        return variable, environ[variable]
    official = _OFFICIAL.get(name, "")
    return official, environ.get(official) or None


def _convert(value: Any, kind: Any, source: str) -> Any:
    """Return ``value`` converted to the type of its field.

    :raises ConfigurationError: the value does not fit; the text names ``source``.
    """
    try:
        return _converted(value, kind)
    except (TypeError, ValueError) as exc:
        raise ConfigurationError(f"{source} cannot be {value!r}: {exc}") from None


def _converted(value: Any, kind: Any) -> Any:
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        kind = next(part for part in typing.get_args(kind) if part is not type(None))
        origin = typing.get_origin(kind)
    if origin is typing.Literal:
        if value not in typing.get_args(kind):
            raise ValueError(f"it must be {' or '.join(map(repr, typing.get_args(kind)))}")
        return value
    if origin is tuple:
        parts = value.split(os.pathsep) if isinstance(value, str) else value
        return tuple(str(part) for part in parts if str(part))
    if origin is not None:  # a mapping, which the environment cannot hold
        if not isinstance(value, Mapping):
            raise TypeError("it must be a dictionary; set it in the Celery configuration")
        return dict(value)
    if kind is bool:
        return _boolean(value)
    if kind in (int, float):
        if isinstance(value, bool):
            raise TypeError("it must be a number")
        number = kind(value)
        if number < 0:
            raise ValueError("it must be 0 or more")
        return number
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError("it must be text")
    return str(value)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    words = {
        "1": True,
        "true": True,
        "yes": True,
        "on": True,
        "0": False,
        "false": False,
        "no": False,
        "off": False,
    }
    if str(value).lower() not in words:
        raise ValueError("it must be true or false")
    return words[str(value).lower()]


def default_of(name: str) -> Any:
    """Return the default of a setting, for the documentation."""
    item = next(entry for entry in fields(Settings) if entry.name == name)
    return item.default if item.default_factory is MISSING else item.default_factory()
