"""What every page and every example of ours has to hold, besides that it runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.pages import DOCS, all_pages, blocks

import mulequeue
from mulequeue import catalog

PACKAGE = Path(mulequeue.__file__).parent
EXAMPLES = [
    f"../examples/{file.parent.name}/{file.name}"
    for file in (DOCS.parent / "examples").glob("*/README.md")
]
_INTERNAL = re.compile(r"\b(gates?|lanes?|tombstones?|herd|taken queue|backstop)\b", re.I)
"""Words of the code for which users have others."""
_INDENTED_FENCE = re.compile(r"^[ \t]+(```|~~~)", re.M)
_RUN = re.compile(r"mulequeue (?:run|batch)\b[^\n`]*")
_CALL = re.compile(
    r"""(?:generate(?:_many)?(?:\.s|\.delay|\.signature)?|apply_async)\(\(?\s*(?:"([\w./-]+)"|\w+),\s*(\[?\{[^}]*\})""",
    re.I,
)
_MODEL = re.compile(r"\b\w+/[\w.-]+\b")


def has_number(model: str) -> bool:
    """Whether the number of pictures is a parameter of the model."""
    try:
        return "n" in catalog.find(model).parameters
    except mulequeue.InputError:
        return False


def commands_without_n(text: str) -> list[str]:
    """The commands that make pictures and leave their number to the API."""
    return [
        found
        for found in _RUN.findall(text)
        if " -" in found or '"' in found
        if "n=1" not in found and "--help" not in found
        if any(has_number(model) for model in _MODEL.findall(found) or ["alibaba/wan2.6-t2i"])
    ]


def calls_without_n(text: str) -> list[str]:
    """The calls that make pictures and leave their number to the API."""
    return [
        found[0]
        for found in _CALL.finditer(text)
        if has_number(found[1] or "") and '"n"' not in found[2]
    ]


@pytest.mark.parametrize("page", [*all_pages(), *EXAMPLES])
def test_no_code_block_is_inside_of_a_list(page: str) -> None:
    """The tests of the pages do not see an indented block, so nothing would run it."""
    assert [] == _INDENTED_FENCE.findall((DOCS / page).read_text())


@pytest.mark.parametrize("page", [*all_pages(), *EXAMPLES])
def test_a_page_has_the_words_of_its_readers(page: str) -> None:
    """A word that only the code has is not on a page; names of keys in Redis are code."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", (DOCS / page).read_text(), flags=re.S)

    assert [] == _INTERNAL.findall(text)


@pytest.mark.parametrize("page", all_pages())
def test_every_example_of_a_page_sets_the_number_of_pictures(page: str) -> None:
    """Without it a model may make, and charge, four."""
    commands = [each for block in blocks(page) for each in commands_without_n(block.text)]
    calls = [each for block in blocks(page) for each in calls_without_n(block.text)]

    assert [] == commands + calls


def test_every_example_of_the_package_sets_the_number_of_pictures() -> None:
    """The same for the demo's page, help texts and what the programs print."""
    files = [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.html")]
    found = {
        str(file.relative_to(PACKAGE)): each
        for file in files
        if (each := calls_without_n(file.read_text()))
    }

    assert {} == found
    demo = (PACKAGE / "local" / "demo_page.html").read_text()
    assert [] == commands_without_n(demo)
    assert "n=1" in (PACKAGE / "local" / "dev.py").read_text()


def test_what_is_refused_here() -> None:
    """The patterns find what they are for."""
    assert commands_without_n('mulequeue run alibaba/wan2.6-t2i "a mule" --local')
    assert commands_without_n("mulequeue batch prompts.csv --column Prompt")
    assert not commands_without_n('mulequeue run google/veo-3.1-fast "a mule"')
    assert calls_without_n('generate.s("alibaba/wan2.6-t2i", {"prompt": "a mule"})')
    assert not calls_without_n('generate.s("alibaba/wan2.6-t2v", {"prompt": "a mule"})')
    assert _INDENTED_FENCE.search("- a list\n\n  ```python\n")
