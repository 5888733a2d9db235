"""Check the names of settings and of environment variables."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

from mulequeue.errors import ConfigurationError
from mulequeue.settings.environment import FILE_SUFFIX
from mulequeue.settings.profiles import unknown

_OTHER_VARIABLES = (
    "MULEQUEUE_BROKER_URL",
    "MULEQUEUE_RESULT_BACKEND",
    "MULEQUEUE_TRANSFER_QUEUE",
    "MULEQUEUE_LIVENESS_FILE",
    "MULEQUEUE_REPOSITORY",
)
"""Variables that are no settings: :mod:`mulequeue.recommended` reads the first three,
:mod:`mulequeue.ops.worker_start` the liveness file, and the build the repository."""
# Ends of the variables that Kubernetes sets for each service; they begin with MULEQUEUE if it has that name.
_OF_A_SERVICE = r"_SERVICE_(HOST|PORT(_\w+)?)$|_PORT(_\d+_[A-Z]+(_\w+)?)?$"


def setting_keys(app: Any) -> list[str]:
    """Return the keys of the app's configuration in lower case, without the app's namespace."""
    prefix = (getattr(app.conf, "prefix", None) or "").lower()
    keys = []
    # Only the keys are used, so censored=True is not needed. With it kombu before 5.6 fails on lists of URLs.
    for key in app.conf.table(censored=False):
        name = str(key).lower()
        keys.append(name.removeprefix(prefix) if prefix else name)
    return keys


def check_setting_names(keys: Iterable[str], names: Collection[str]) -> None:
    """Raise ConfigurationError for an unknown ``mulequeue_…`` key; the text suggests similar names.

    :param names: of all settings, without the prefix.
    """
    for key in keys:
        name = key.lower().removeprefix("celery_")
        if name.startswith("mulequeue_") and name.removeprefix("mulequeue_") not in names:
            known = [f"mulequeue_{item}" for item in names]
            raise ConfigurationError(unknown("setting", name, known))


def check_variable_names(variables: Iterable[str], names: Iterable[str]) -> None:
    """Raise ConfigurationError for an unknown ``MULEQUEUE_…`` variable; the text suggests similar names.

    :param names: of all settings, without the prefix.
    """
    known = [f"MULEQUEUE_{name.upper()}" for name in names] + list(_OTHER_VARIABLES)
    for variable in variables:
        is_known = variable in known or variable.removesuffix(FILE_SUFFIX) in known
        is_ours = variable.upper().startswith("MULEQUEUE_") and not is_known
        if is_ours and not re.search(_OF_A_SERVICE, variable):
            raise ConfigurationError(unknown("environment variable", variable, known))
