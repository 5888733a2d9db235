"""Extension of Griffe: roles of docstrings (``:func:`mulequeue.file```) as code for Markdown."""

from __future__ import annotations

from typing import Any

from griffe import Extension, Object

from tools.reference.reading import without_roles


class DocstringRoles(Extension):
    """Replace the roles when a docstring has been read."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = without_roles(obj.docstring.value)
