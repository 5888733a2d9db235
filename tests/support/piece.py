"""Runs a piece of Python of a page: ``python -m support.piece [--only-imports] FILE``.

A piece that only sets names is a configuration: every name has to be a setting of Celery or of
mulequeue, and an app has to be able to use it. A URLconf of Django is not one.
"""

from __future__ import annotations

import ast
import runpy
import sys
from types import SimpleNamespace
from typing import Any

from celery import Celery
from celery.app.defaults import NAMESPACES, flatten

from mulequeue.settings import Settings

_SETTING = (ast.Assign, ast.Import, ast.ImportFrom)


def run(file: str) -> None:
    """Run it; raises what it raises, and AssertionError for a setting that nobody knows."""
    with open(file) as source:
        body = ast.parse(source.read()).body
    names = runpy.run_path(file)
    if all(isinstance(node, _SETTING) for node in body) and "urlpatterns" not in names:
        check_settings({name: names[name] for name in _targets(body)})


def run_imports(file: str) -> None:
    """Compile it, and run nothing but its imports: what it takes from others exists."""
    with open(file) as source:
        tree = ast.parse(source.read())
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    exec(compile(ast.Module(imports, []), file, "exec"), {})


def check_settings(given: dict[str, Any]) -> None:
    """Names and values are those of a configuration that an app can be made of."""
    known = {name.lower() for name, _ in flatten(NAMESPACES)}
    unknown = {name for name in given if name not in known and not name.startswith("mulequeue_")}
    assert not unknown, f"neither Celery nor mulequeue knows the settings {unknown}"
    app = Celery(set_as_current=False)
    app.config_from_object(SimpleNamespace(**given))
    for error in Settings.load(app).profile_errors().values():
        raise error


def _targets(body: list[ast.stmt]) -> list[str]:
    found = [target for node in body if isinstance(node, ast.Assign) for target in node.targets]
    return [target.id for target in found if isinstance(target, ast.Name)]


if __name__ == "__main__":
    sys.path.insert(0, "")
    (run_imports if "--only-imports" in sys.argv else run)(sys.argv[-1])
