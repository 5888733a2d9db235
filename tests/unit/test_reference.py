"""The reference in docs/reference says what the code says."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest
from support.pages import DOCS, all_pages, blocks

sys.path.append(str(DOCS.parent))

import mulequeue
from tools.reference import COMMAND, PAGES, stale
from tools.reference.reading import attribute_docs, log_calls, markdown


def test_every_page_is_as_the_code_has_it() -> None:
    """A changed docstring, default, help text or log line is on its page."""
    found = sorted(stale())

    assert [] == found, f"docs/reference differs from the code; run: {COMMAND}"


@pytest.mark.parametrize("name", PAGES)
def test_every_page_has_its_title(name: str) -> None:
    """A page that nothing could be read for would have none, or hold no table."""
    text = (DOCS / "reference" / name).read_text()

    assert "\n# " in text
    assert "\n| --- |" in text or "\n├─ " in text or "\n<!-- docstring: " in text


def test_every_public_name_is_in_the_reference() -> None:
    """What `from mulequeue import …` gives, and what a page imports from a module below it."""
    imported = {
        name
        for page in all_pages()
        for block in blocks(page)
        if block.language in ("python", "py")
        for name in imports(block.text)
    }

    assert [] == sorted((imported | set(mulequeue.__all__)) - documented())


def imports(text: str) -> set[str]:
    """The names that a piece of Python imports from mulequeue and the modules below it."""
    return {
        alias.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mulequeue")
        for alias in node.names
    } - {"*"}


def documented() -> set[str]:
    """The names that have a heading or a row of a table, or are a module with a page."""
    text = "\n".join(file.read_text() for file in (DOCS / "reference").glob("*.md"))
    headings = {title.rpartition(".")[2] for title in re.findall(r"^#{2,3} (\S+)$", text, re.M)}
    rows = set(re.findall(r"^\| `(\w+)` \|", text, re.M))
    models = set(re.findall(r"`(\w+)`", text)) & {"Generation", "Batch"}
    return headings | rows | models | {"recommended", "app"}


def test_attributes_without_a_docstring_say_nothing() -> None:
    """Only the text right under an attribute is taken for it."""

    class Things:
        first: int = 1
        """In two
        lines, with ``code``."""
        second: int = 2

    assert {"first": "In two lines, with `code`.", "second": ""} == attribute_docs(Things)


def test_fields_of_a_docstring_become_a_list() -> None:
    """Parameters, what is returned and what is raised, each over as many lines as it has."""
    text = "Do it.\n\n:param a: one\n    thing. :param b: another.\n:raises InputError: no :class:`~x.Y`."

    assert (
        "Do it.\n\n- `a`: one thing.\n- `b`: another.\n- raises `InputError`: no `Y`.\n"
        == markdown(text)
    )


def test_log_calls_are_found_with_their_fields(tmp_path: Path) -> None:
    """Whether the fields stand in the call or in a variable above it; the gravest come first."""
    (tmp_path / "module.py").write_text(
        "def f():\n"
        "    extra = {'task_id': 1}\n"
        "    logger.info('went on: %s', 1, extra=extra)\n"
        "    logger.critical('it broke', extra={'state': 2})\n"
    )

    assert [
        ("critical", "it broke", ["state"]),
        ("info", "went on: …", ["task_id"]),
    ] == log_calls(tmp_path)
