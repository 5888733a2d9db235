"""Links between the pages lead somewhere, and every page is found from the index."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from support.pages import DOCS

ROOT = DOCS.parent
PAGES = [
    *ROOT.glob("*.md"),
    *sorted(DOCS.rglob("*.md")),
    *sorted((ROOT / "examples").glob("*/README.md")),
]
AWAITED = {DOCS / "performance.md"}
"""Pages that are linked to and not written yet."""
_FENCE = re.compile(r"^( *)```.*?^\1```$", re.M | re.S)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_TITLE = re.compile(r"^#{1,6} (.+)$", re.M)


def links(page: Path) -> list[str]:
    """What its links name, of this tree."""
    text = _FENCE.sub("", page.read_text())
    return [link for link in _LINK.findall(text) if not re.match(r"\w+:", link)]


@cache
def anchors(page: Path) -> set[str]:
    """Of its headings, as GitHub makes them."""
    titles = _TITLE.findall(_FENCE.sub("", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    """Files exist, and so do the headings that are named behind a #."""
    broken = []
    for link in links(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if target in AWAITED:
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)

    assert [] == broken


def test_every_page_is_in_the_index() -> None:
    """docs/README.md leads to all pages beside and below it."""
    index = DOCS / "README.md"
    led_to = {(DOCS / link.partition("#")[0]).resolve() for link in links(index)}

    missing = {page.resolve() for page in DOCS.rglob("*.md")} - led_to - {index.resolve()}

    assert [] == sorted(str(page.relative_to(DOCS)) for page in missing)
