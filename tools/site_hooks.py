"""Hooks of MkDocs: links out of docs/, rendered docstrings, and no request to another host.

The pages are written for a code host. There, ``../CHANGELOG.md`` and ``../../docker/alerts.yml`` are
links; on the site, the first is a page and the second leads into the repository that
``MULEQUEUE_REPOSITORY`` names (without it, its text stays and the link goes).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PROJECT_PAGES = {
    name: f"project/{name.lower()}" for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
}
"""Files of the root folder that are pages of the site: their names there."""
_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!\w+:|#)([^)\s#]+)(#[^)\s]*)?\)")
_RENDERED = re.compile(r"^<!-- docstring: (\S+) -->\n.*?(?=^#{2,3} |\Z)", re.M | re.S)
_FENCE = re.compile(r"(^```.*?^```$)", re.M | re.S)
_FOREIGN = re.compile(
    r"""(?:<(?:script|img|iframe|source)\b[^>]*\bsrc|<link\b(?![^>]*rel="?canonical)[^>]*\bhref)="?https?://[^\s">]+"""
    r"""|(?:@import\s+|url\()["']?https?://[^\s"')]+"""
)


def on_files(files: Files, config: Any) -> Files:
    """Add the project's own pages."""
    for name, place in PROJECT_PAGES.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Render docstrings with mkdocstrings, and rewrite links that lead out of docs/."""
    markdown = _RENDERED.sub(lambda found: f"::: {found[1]}\n\n", markdown)
    parts = _FENCE.split(markdown)
    parts[::2] = [_LINK.sub(lambda link: _rewritten(link, page.file), part) for part in parts[::2]]
    return "".join(parts)


def on_post_build(config: Any) -> None:
    """Fail if a page, a style or a script loads anything from another host.

    :raises PluginError: it does; the text names the file and the address.
    """
    for file in Path(config.site_dir).rglob("*"):
        if file.suffix in (".html", ".css"):
            found = _FOREIGN.search(file.read_text("utf-8"))
            if found:
                raise PluginError(f"{file} loads {found[0]!r}: keep a copy in docs/ instead.")


def _rewritten(link: re.Match[str], file: File) -> str:
    picture, label, target, anchor = link.groups()
    source = Path(file.abs_src_path or "")
    place = _place((source.parent / target).resolve())
    if place is None:
        return _in_repository(link, (source.parent / target).resolve())
    relative = os.path.relpath(place, Path(file.src_uri).parent)
    return f"{picture}[{label}]({relative}{anchor or ''})"


def _place(target: Path) -> str | None:
    """Return the name of a file on the site, or None if it is not on it."""
    if target.parent == ROOT and target.name in PROJECT_PAGES:
        return PROJECT_PAGES[target.name]
    docs = ROOT / "docs"
    return target.relative_to(docs).as_posix() if target.is_relative_to(docs) else None


def _in_repository(link: re.Match[str], target: Path) -> str:
    if not target.exists():
        return link[0]  # MkDocs reports it
    repository = os.environ.get("MULEQUEUE_REPOSITORY", "").rstrip("/")
    if not repository:
        return link[2]
    return f"[{link[2]}]({repository}/blob/main/{target.relative_to(ROOT).as_posix()})"
