"""Every setting of mulequeue, where it is read from, and the profiles made of them.

A value is looked for in ``app.conf`` (``mulequeue_…``; in Django ``CELERY_MULEQUEUE_…``), then in
the environment (``MULEQUEUE_…``), then the default stands. The key, the base URL and the site are
also read from the official client's own variables (``MULEROUTER_API_KEY``, ``MULEROUTER_BASE_URL``,
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

__all__ = ["SITES", "Profile", "Settings", "default_of", "refuse_unknown"]

DEFAULT_REDIS_URL = "redis://127.0.0.1:6379/0"
_OFFICIAL = {
    "api_key": "MULEROUTER_API_KEY",
    "base_url": "MULEROUTER_BASE_URL",
    "site": "MULEROUTER_SITE",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings; seconds and bytes are in the name."""

    api_key: str | None = field(default=None, repr=False)
    """The API key (also MULEROUTER_API_KEY). Needed by workers only."""
    base_url: str | None = None
    """The API's host; wins over ``site`` (also MULEROUTER_BASE_URL)."""
    site: str = "mulerouter"
    """``mulerouter`` or ``mulerun`` (also MULEROUTER_SITE)."""
    profiles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    """More accounts: ``{name: {"api_key": …, "base_url" or "site": …}}``, each with its own limits
    under the same names as below (``max_in_flight``, …, ``models``)."""
    former_fingerprints: tuple[str, ...] = ()
    """Fingerprints of replaced keys of the same account: their generations go on under today's key."""
    max_in_flight: int | None = None
    """Most generations in flight at once, over the whole fleet, under the profile ``default``; None:
    no limit. What is more waits its turn."""
    submissions_per_second: int | None = None
    """Most create requests of the profile ``default`` that the API sees within any second."""
    submissions_per_minute: int | None = None
    """The same within any minute."""
    max_per_day: int | None = None
    """Most generations of the profile ``default`` on one day (UTC); what is more is refused before
    anything is sent, with an outcome ``failed`` of type ``BudgetExceeded``."""
    max_per_batch: int | None = None
    """Most generations of one batch under the profile ``default``; a larger one is refused as a whole."""
    models: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """A model's own limits inside the profile ``default``: ``{"vendor/model": {"max_in_flight": 2}}``,
    with the five names above."""

    fleet: str = "default"
    """Name of the ledger; fleets that share a Redis need different names."""
    redis_url: str = field(default=DEFAULT_REDIS_URL, repr=False)
    """The ledger's Redis, as :func:`mulequeue.ledger.connect` takes it. Unset: the broker's or the
    result backend's when that is Redis, with its TLS settings and sentinels."""
    poll_queue: str = "mulequeue.poll"
    """Queue of the poll loop."""
    wake_queue: str = "mulequeue.wake"
    """Queue of the parked tasks that are woken."""

    submit_timeout_seconds: float = 60.0
    """Total time for one create request, from the first byte to the last of its answer (<= 90)."""
    poll_timeout_seconds: float = 15.0
    """Total time for one status check."""
    poll_concurrency: int = 64
    """Status checks under way at once in one sweep; those that hang for longer do not count."""
    learn_cadence: bool = True
    """Whether the model's latest generations decide when status checks are made, by how long they
    took. Off: at the model's own intervals, always."""
    not_found_grace_seconds: float = 60.0
    """How long after submission a 404 on a status check is taken as "not visible yet"."""
    max_wait_seconds: float | None = None
    """How long a generation may stay active before it is settled ``timed_out``; None: by model."""
    record_ttl_seconds: int = 7 * 24 * 3600
    """How long the record of a delivered generation is kept."""

    storage: str = "mulequeue-files"
    """Where ``download`` stores: a folder, or a URL that fsspec knows (``s3://bucket/prefix``)."""
    storage_path: str = "{model}/{date}/{remote_id}/{index}.{ext}"
    """Path under the storage. Also known: ``task_id``, ``kind``."""
    storage_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Passed to the fsspec file system."""
    download_timeout_seconds: float = 900.0
    """Total time for one asset."""
    download_max_bytes: int = 5 * 1024**3
    """Largest asset that is stored."""
    downloads_at_once: int = 4
    """Assets of one generation fetched in parallel."""

    notification_secret: str | None = field(default=None, repr=False)
    """Secret that notifications are signed with (``whsec_`` + base64). Unset: they are refused."""
    notification_timeout_seconds: float = 20.0
    """Total time for one attempt."""
    notification_max_seconds: float = 24 * 3600.0
    """How long a notification is tried again before it is given up."""

    webhook_secret: tuple[str, ...] = field(default=(), repr=False)
    """Secrets of the API's webhooks, as its console shows them (``whsec_…``): one, or several for
    several accounts or while one is replaced. Unset: webhooks are refused."""

    validate: Literal["strict", "warn", "off"] = "strict"
    """Whether inputs are held against what the catalog says of their model before they are sent:
    ``strict`` refuses what all sources agree is wrong, ``warn`` only logs it, ``off`` does not look."""
    input_roots: tuple[str, ...] = ()
    """Folders that ``mulequeue.file(path)`` may read from, on the worker. None by default."""
    input_max_bytes: int = 20 * 1024**2
    """Largest file that goes into an input."""
    allow_private_addresses: bool = False
    """Let downloads and notifications go to private, loopback and link-local addresses over http."""

    @classmethod
    def load(cls, app: Any = None, environ: Mapping[str, str] = os.environ) -> Settings:
        """The settings of a Celery app, the environment and the defaults, in this order.

        :param app: a Celery app; None reads the environment alone.
        :raises ConfigurationError: unknown ``mulequeue_…`` key, or a value of the wrong type.
        """
        conf = app.conf if app is not None else {}
        given = {name: conf.get(f"mulequeue_{name}") for name in _NAMES}
        if app is not None:
            refuse_unknown(_keys(app))
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
        """The profile of that name (None: ``default``).

        :param needs_key: False for whoever wants to know the limits alone.
        :raises ConfigurationError: no such profile, a limit that makes no sense, or no key.
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
        """Every profile this process has a key for."""
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


def refuse_unknown(keys: Iterable[str]) -> None:
    """Raise ConfigurationError for a ``mulequeue_…`` key that is no setting, naming the nearest."""
    for key in keys:
        name = key.lower().removeprefix("celery_")
        if name.startswith("mulequeue_") and name.removeprefix("mulequeue_") not in _NAMES:
            known = [f"mulequeue_{item}" for item in _NAMES]
            raise ConfigurationError(unknown("setting", name, known))


def _keys(app: Any) -> list[str]:
    """The user's own keys, spelled as mulequeue's settings, with and without a namespace."""
    prefix = (getattr(app.conf, "prefix", None) or "").lower()
    keys = []
    # Uncensored: only the keys are looked at, and censoring fails on lists of URLs before kombu 5.6.
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
    """``value`` as the field's type; text from the environment is read by that type."""
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
    if origin is not None:  # a mapping; not readable from the environment
        if not isinstance(value, Mapping):
            raise TypeError("it must be a dictionary, set in the Celery configuration")
        return dict(value)
    if kind is bool:
        return _boolean(value)
    if kind in (int, float):
        if isinstance(value, bool):
            raise TypeError("it must be a number")
        number = kind(value)
        if number < 0:
            raise ValueError("it must not be negative")
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
    """The default of a setting, for documentation."""
    item = next(entry for entry in fields(Settings) if entry.name == name)
    return item.default if item.default_factory is MISSING else item.default_factory()
