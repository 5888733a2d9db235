"""Change what the README says on the day of a release: ``python -m tools.release``.

Until then the README installs from a clone. The lines between the two markers are replaced by those
below, which name the package by its name on the index.
"""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
_INSTALL = re.compile(r"<!-- install -->\n.*?<!-- /install -->\n", re.S)
RELEASED = """\
```console
$ pip install "mulequeue[demo]" && mulequeue demo
```
"""


def released(text: str) -> str:
    """Return the README of a released version.

    :raises ValueError: it has no lines between the markers.
    """
    changed, count = _INSTALL.subn(RELEASED, text)
    if count != 1:
        raise ValueError(
            "README.md needs one block between <!-- install --> and <!-- /install -->."
        )
    return changed


if __name__ == "__main__":
    README.write_text(released(README.read_text("utf-8")), "utf-8")
