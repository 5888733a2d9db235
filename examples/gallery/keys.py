"""The secret key that signs sessions."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def kept_secret(path: Path) -> str:
    """Return this installation's key. It is kept in a file, so that sessions survive a restart."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(48))
    try:
        os.link(
            fresh, path
        )  # web server and worker may start at the same time: the first key stays
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
    return path.read_text()
