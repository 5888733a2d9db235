"""What is published: run by ``make release-check``, which builds ``dist/``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

TREE = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif("RELEASE" not in os.environ, reason="run by make release-check")

NEEDED = {
    *("mulequeue/py.typed", "mulequeue/ledger/lua/claim.lua", "mulequeue/catalog/alibaba.toml"),
    *("pytest_mulequeue.py", "celery_mulequeue.py"),
}


def _the_one(pattern: str) -> Path:
    found = list((TREE / "dist").glob(pattern))
    assert 1 == len(found), f"dist/ holds {found}"
    return found[0]


def _checked(*command: object, folder: Path) -> str:
    """What a program printed, which has to succeed; nothing of the tree is on its path."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, env=env, capture_output=True, text=True
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


def _contents(wheel: Path) -> dict[str, int]:
    """The checksum of every file."""
    with zipfile.ZipFile(wheel) as archive:
        return {item.filename: item.CRC for item in archive.infolist()}


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the wheel and none of its extras."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=True)
    _checked(folder / "bin/pip", "install", "--quiet", _the_one("*.whl"), folder=folder)
    return folder / "bin"


def test_the_registry_would_take_both() -> None:
    """The metadata is complete and the description renders."""
    _checked(sys.executable, "-m", "twine", "check", "--strict", *_both(), folder=TREE)


def test_no_link_of_the_description_is_relative() -> None:
    """Links and pictures also work on the page of a package index."""
    with zipfile.ZipFile(_the_one("*.whl")) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        text = archive.read(name).decode()

    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    assert len(targets) > 10
    assert [] == [target for target in targets if not target.startswith("https://")]
    assert "Project-URL: Source, https://" in text


def _both() -> list[Path]:
    return [_the_one("*.whl"), _the_one("*.tar.gz")]


def test_the_wheel_holds_the_package_and_nothing_else() -> None:
    """Scripts, catalogue, templates, pictures and type marker; no tests, no benchmarks."""
    tracked = _checked("git", "ls-files", "mulequeue", "*_mulequeue.py", folder=TREE).split("\n")

    found = {name for name in _contents(_the_one("*.whl")) if ".dist-info/" not in name}

    assert found >= NEEDED
    assert found == {name for name in tracked if name}


def test_the_sdist_makes_the_same_wheel(tmp_path: Path) -> None:
    """Who builds from the source archive gets the same files, byte for byte."""
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path)
    _checked(*pip, _the_one("*.tar.gz"), folder=tmp_path)

    assert _contents(_the_one("*.whl")) == _contents(next(tmp_path.glob("*.whl")))


def test_the_sdist_brings_its_tests() -> None:
    """A distribution can run the suite from the source archive."""
    with tarfile.open(_the_one("*.tar.gz")) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    tracked = _checked("git", "ls-files", "tests", "docs", "examples", folder=TREE).split("\n")

    assert set() == {name for name in tracked if name} - names
    assert {"Makefile", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"} <= names


def test_it_works_without_any_extra(bare: Path, tmp_path: Path) -> None:
    """With the wheel alone the package is imported, typed, and lists its models."""
    source = "import mulequeue, mulequeue.tasks, mulequeue.celery; print(mulequeue.__version__)"

    version = _checked(bare / "python", "-c", source, folder=tmp_path).strip()

    assert _the_one("*.whl").name.startswith(f"mulequeue-{version}-")
    assert "alibaba/wan2.6-t2i" in _checked(bare / "mulequeue", "models", folder=tmp_path)
    celery = (bare / "celery", "-A", "mulequeue", "mulequeue", "--help")
    assert "doctor" in _checked(*celery, folder=tmp_path)


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (("mulequeue", "demo"), "demo"),
        (("mulequeue", "exporter"), "metrics"),
        (("python", "-c", "import mulequeue.contrib.flask"), "flask"),
        (("python", "-c", "import mulequeue.contrib.django.models"), "django"),
    ],
)
def test_what_is_missing_is_named(
    command: tuple[str, ...], extra: str, bare: Path, tmp_path: Path
) -> None:
    """Without its extra a command ends with the line that installs it, or the package's name."""
    done = subprocess.run(
        [bare / command[0], *command[1:]], cwd=tmp_path, capture_output=True, text=True
    )

    assert 0 != done.returncode
    last = (done.stderr or done.stdout).strip().splitlines()[-1]
    assert f"mulequeue[{extra}]" in last or f"No module named '{extra}'" in last
