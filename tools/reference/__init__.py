"""docs/reference, written from the code: ``python -m tools.reference``, or ``make reference``.

Whatever a page there says is a docstring, a default, a help text or a log call of the package, so it
is corrected in the code and not in the page.
"""

from pathlib import Path

from tools.reference.pages import PAGES

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
COMMAND = "python -m tools.reference"
HEAD = f"<!-- Written by `{COMMAND}` from the code; change it there. -->\n\n"


def stale() -> dict[str, str]:
    """The pages that say something else than the code, and what they ought to say."""
    texts = {name: HEAD + text_of() for name, text_of in PAGES.items()}
    return {name: text for name, text in texts.items() if _held(name) != text}


def write() -> list[str]:
    """Write them; their names."""
    found = stale()
    for name, text in found.items():
        (FOLDER / name).write_text(text)
    return list(found)


def _held(name: str) -> str | None:
    file = FOLDER / name
    return file.read_text() if file.exists() else None
