"""pytest in a project of a user's own."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_pytest(folder: Path, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run it in that folder, with the plugin of this tree, and wait for its end.

    :param env: more environment.
    """
    clean = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    # An editable installation that is older than the entry point does not know the plugin yet.
    known = any(item.name == "mulequeue" for item in entry_points(group="pytest11"))
    plugin = [] if known else ["-p", "pytest_mulequeue"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *plugin, *options],
        cwd=folder,
        env={**clean, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **env},
        capture_output=True,
        text=True,
        timeout=120,
    )
