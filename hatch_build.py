"""Complete the metadata of a release: project URLs, and README links that work on an index page.

``MULEQUEUE_REPOSITORY`` in the environment of the build names the repository's web address
(``https://HOST/OWNER/mulequeue``). Without it, a build has no URLs and keeps the README as it is.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?://|#)([^)\s]+)\)")


class ReleaseMetadata(MetadataHookInterface):
    """Fill in the two dynamic fields, ``urls`` and ``readme``."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set both fields.

        :param metadata: the ``[project]`` table, changed in place.
        """
        text = (Path(self.root) / "README.md").read_text("utf-8")
        repository = os.environ.get("MULEQUEUE_REPOSITORY", "").rstrip("/")
        if repository:
            text = absolute_links(text, repository)
            metadata["urls"] = {
                "Source": repository,
                "Documentation": f"{repository}/blob/main/docs/README.md",
                "Changelog": f"{repository}/blob/main/CHANGELOG.md",
                "Issues": f"{repository}/issues",
            }
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


def absolute_links(text: str, repository: str) -> str:
    """Return Markdown whose relative links and pictures point into the repository.

    :param repository: its web address.
    """

    def absolute(link: re.Match[str]) -> str:
        picture, label, target = link.groups()
        return f"{picture}[{label}]({repository}/{'raw' if picture else 'blob'}/main/{target})"

    return _LINK.sub(absolute, text)
