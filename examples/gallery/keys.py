"""The key that sessions are signed with."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def kept_secret(path: Path) -> str:
    """A key of this installation's own in a file, so that sessions outlive a restart."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(48))
    try:
        os.link(fresh, path)  # web server and worker may start at once: the first one's stays
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
    return path.read_text()
