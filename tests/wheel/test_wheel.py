"""What users install: run by ``make suite`` in an environment that holds the built wheel."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import files
from pathlib import Path

import pytest

import mulequeue

# ``make test-all`` keeps the working directory off the import path (PYTHONSAFEPATH).
pytestmark = pytest.mark.skipif(not sys.flags.safe_path, reason="run by make test-all")

TREE = Path(__file__).parents[2]


def installed() -> set[str]:
    """Every file of the wheel, compiled ones left out."""
    return {str(path) for path in files("mulequeue") or () if path.suffix != ".pyc"}


def test_the_tree_is_not_what_is_tested() -> None:
    """This process and those it starts import mulequeue from site-packages."""
    source = "import mulequeue; print(mulequeue.__file__)"
    child = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, cwd=TREE, check=True
    )

    for found in (mulequeue.__file__, child.stdout.strip()):
        assert "site-packages" in Path(found).parts


def test_the_wheel_holds_every_file_of_the_package() -> None:
    """Scripts, catalogue and type marker included, whatever the tree's package holds."""
    package = (path for path in (TREE / "mulequeue").rglob("*") if path.is_file())
    wanted = {str(path.relative_to(TREE)) for path in package if path.suffix != ".pyc"}

    assert set() == wanted - installed()
    assert {"mulequeue/ledger/lua/claim.lua", "mulequeue/catalog/alibaba.toml"} <= installed()
    assert "mulequeue/py.typed" in installed()


def test_the_wheel_holds_nothing_else() -> None:
    """No tests, no benchmarks and no stray modules come along."""
    tops = {name.split("/")[0] for name in installed() if not name.startswith("..")}

    assert {"mulequeue", "pytest_mulequeue.py", "celery_mulequeue.py"} == {
        top for top in tops if not top.endswith(".dist-info")
    }
