"""The documentation site: what its strict build refuses, and how links leave docs/."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from support.pages import DOCS

_WHY = "the programs of the site are not installed; run: make docs"
build = pytest.importorskip("mkdocs.commands.build", reason=_WHY).build
load_config = pytest.importorskip("mkdocs.config").load_config
MkDocsException = pytest.importorskip("mkdocs.exceptions").MkDocsException
BasePlugin = pytest.importorskip("mkdocs.plugins").BasePlugin
File = pytest.importorskip("mkdocs.structure.files").File
ROOT = DOCS.parent
sys.path.append(str(ROOT))


class Addition(BasePlugin):
    """Adds a text to the first page.

    :param text: Markdown.
    """

    def __init__(self, text: str) -> None:
        self._text = text

    def on_page_markdown(self, markdown: str, *, page: Any, **_: Any) -> str:
        return markdown + self._text if page.file.src_uri == "README.md" else markdown


def build_site(folder: Path, addition: str) -> None:
    """Build the whole site with one more paragraph on its first page."""
    config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder))
    config.plugins["addition"] = Addition(f"\n\n{addition}\n")
    build(config)


def test_a_sound_page_is_built(tmp_path: Path) -> None:
    """Links to pages and headings of the site, and to other hosts, which a reader follows."""
    build_site(tmp_path, "[here](quickstart.md) [there](https://host.example/)")

    assert "https://host.example/" in (tmp_path / "index.html").read_text()


@pytest.mark.parametrize(
    "text",
    [
        "[gone](gone.md)",
        "[gone](quickstart.md#gone)",
        "[gone](../gone.txt)",
        '<img src="https://cdn.example/a.png" alt="">',
    ],
)
def test_a_broken_link_and_a_foreign_host_fail(tmp_path: Path, text: str) -> None:
    """A page, heading or file that is missing, or a picture that another host would serve."""
    with pytest.raises(MkDocsException):
        build_site(tmp_path, text)


def test_links_out_of_docs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root files are pages; other files lead into the repository, or are plain text without one."""
    from tools import site_hooks

    file = File("howto/redis.md", str(DOCS), "site", use_directory_urls=False)
    page = type("Page", (), {"file": file})
    text = "[log](../../CHANGELOG.md#a) [rules](../../docker/alerts.yml) [home](../README.md)"

    plain = site_hooks.on_page_markdown(text, page, None, None)
    monkeypatch.setenv("MULEQUEUE_REPOSITORY", "https://host.example/me/mulequeue/")
    linked = site_hooks.on_page_markdown(text, page, None, None)

    assert "[log](../project/changelog.md#a) rules [home](../README.md)" == plain
    assert "[rules](https://host.example/me/mulequeue/blob/main/docker/alerts.yml)" in linked


def test_docstrings_are_rendered_by_mkdocstrings() -> None:
    """What the reference copies from a docstring is left to mkdocstrings, up to the next heading."""
    from tools import site_hooks

    file = File("reference/functions.md", str(DOCS), "site", use_directory_urls=False)
    text = site_hooks.on_page_markdown(
        (DOCS / "reference" / "functions.md").read_text(),
        type("Page", (), {"file": file}),
        None,
        None,
    )

    assert "### download\n\n`download(outcome" in text
    assert "\n::: mulequeue.download\n" in text
    assert "Store the assets of an outcome" not in text
    assert "## Data\n" in text
