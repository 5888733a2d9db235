"""Read environment variables, or the files that they name.

Docker, Kubernetes and systemd provide secrets as files. ``MULEROUTER_API_KEY_FILE=/run/secrets/key``
has the effect of ``MULEROUTER_API_KEY`` with the content of that file as its value.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mulequeue.errors import ConfigurationError

FILE_SUFFIX = "_FILE"


def read_variable(name: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the value of a variable, else the content of the file that ``NAME_FILE`` names.

    Whitespace around the content is removed. An empty variable or an empty file counts as not set.

    :raises ConfigurationError: the file cannot be read.
    """
    value, file = environ.get(name), environ.get(name + FILE_SUFFIX)
    if value or not file:
        return value or None
    try:
        return Path(file).read_text("utf-8").strip() or None
    except (OSError, UnicodeDecodeError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "it is not text"
        raise ConfigurationError(
            f"{name}{FILE_SUFFIX} names {file}, which cannot be read: {why}. Make it readable for the "
            f"user of this process, or set {name}."
        ) from None
